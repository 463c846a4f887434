//! Whatever is sent to whichever RPC, by an administrator, who gets furthest: messages whose every field is something
//! that it should not be, and bytes that are no message. Each is answered, and none with a fault of the server.

use std::collections::HashMap;

use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, MethodDescriptor, Value,
};
use roamline_proto::contract::POOL;

use crate::clients::{phone_name, user};
use crate::number;
use crate::victim::Victim;
use crate::wire;

/// Statuses that are the server's own fault.
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;
/// How deep messages are within messages.
const DEPTH: usize = 5;

/// The same numbers in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("less than the sides")
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.roll(most + 1);
        (0..length).map(|_| u8::try_from(self.roll(256)).expect("a byte")).collect()
    }

    fn text(&mut self) -> String {
        let known = [user(1), user(2), phone_name(1), phone_name(2)];
        let odd = [
            "",
            " ",
            "*",
            "admin",
            "1000",
            "2001",
            "8851",
            "7960",
            "sip",
            "a/b",
            "../x",
            "agent1 ",
            "AGENT1",
            "-",
            "0",
            "-1",
            "99999999999999999999",
            "1e9",
            "NaN",
            "null",
            "true",
            "2026-02-30T25:61:61Z",
            "24:00",
            "PT1S",
            "1s",
            "10.0.0.0/33",
            "::/129",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "a=b",
            "name = \"x",
            "user_id:*",
            "NOT (a OR",
            "a AND AND b",
            "((((((((((",
            "settings.lines",
            "settings..x",
            "\u{0}",
            "\n\r\t",
            "\u{202e}abc",
            "é",
            "日本",
            "😀",
            "%s%n",
            "'; DROP TABLE phones; --",
            "${jndi:x}",
            "<script>",
            "eyJhbGciOiJub25lIn0.e30.",
            "AAAA",
            "====",
        ];
        match self.roll(10) {
            0 | 1 => self.of(&known).clone(),
            2 => "x".repeat(self.roll(70_000)),
            3 => String::from_utf8_lossy(&self.bytes(60)).into_owned(),
            4 => (0..self.roll(30))
                .map(|_| *self.of(&['(', ')', '"', '=', '*', 'a', ' ', '\\', ':', '.']))
                .collect(),
            _ => (*self.of(&odd)).to_owned(),
        }
    }

    fn number(&mut self) -> i64 {
        *self.of(&[
            0,
            1,
            -1,
            2,
            7,
            36,
            37,
            255,
            65_536,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            i64::MAX,
            i64::MIN,
        ])
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            if self.roll(10) < 6 && !(depth == 0 && matches!(field.kind(), Kind::Message(_))) {
                let value = self.field(&field, depth);
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { unreachable!("a map has entries") };
            let value = self.one(&entry.map_entry_value_field().kind(), depth);
            return Value::Map(HashMap::from([(MapKey::String(self.text()), value)]));
        }
        if field.is_list() {
            let length = self.roll(4);
            return Value::List((0..length).map(|_| self.one(&field.kind(), depth)).collect());
        }
        self.one(&field.kind(), depth)
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "any number will do"
    )]
    fn one(&mut self, kind: &Kind, depth: usize) -> Value {
        match kind {
            Kind::Double => Value::F64(*self.of(&[0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN])),
            Kind::Float => Value::F32(*self.of(&[0.0, f32::NAN, f32::NEG_INFINITY, f32::MAX])),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.number() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.number()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.number() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(self.number() as u64),
            Kind::Bool => Value::Bool(self.roll(2) == 0),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.bytes(300).into()),
            Kind::Enum(list) => {
                let known: Vec<_> = list.values().map(|value| value.number()).chain([-1, i32::MAX]).collect();
                Value::EnumNumber(*self.of(&known))
            }
            Kind::Message(descriptor) => Value::Message(self.message(descriptor, depth.saturating_sub(1))),
        }
    }
}

async fn send(victim: &Victim, method: &MethodDescriptor, message: &[u8]) -> wire::Answer {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let body = wire::message(message);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc-web+proto\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        victim.admin,
        body.len()
    );
    wire::say(victim.api(), &[head.as_bytes(), &body].concat()).await
}

/// The site may look different now, but the administrator is served and it is ready.
async fn lives(victim: &Victim) {
    let admin = victim.server.admin.trim_start_matches("http://");
    let ready = wire::say(admin, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(ready.text().starts_with("HTTP/1.1 200"), "{}", ready.text());
    let list = POOL.get_service_by_name("roamline.session.v1.SessionService").expect("it is in the contract");
    let list = list.methods().find(|method| method.name() == "ListSessions").expect("so is this");
    assert_eq!(send(victim, &list, &[]).await.statuses(), [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_to_whichever_rpc_is_answered_without_a_fault() {
    let victim = Victim::new(3).await;
    let mut dice = Dice::new(20_261_122);
    let (mut sent, mut taken, mut faults) = (0, 0, Vec::new());
    // One that would be taken ends the very token with which all the others are sent.
    let ends_our_token = |method: &MethodDescriptor| method.name() == "RotateSigningKeys";
    let methods = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    for method in methods.filter(|method| !ends_our_token(method)) {
        let endless = method.is_server_streaming();
        let rounds = if endless { number(2, 20) } else { number(15, 600) };
        for round in 0..rounds {
            // Some are no messages at all.
            let bare = round % 5 == 4;
            let bytes =
                if bare { dice.bytes(400) } else { dice.message(&method.input(), DEPTH).encode_to_vec() };
            let answer = send(&victim, &method, &bytes).await;
            let statuses = answer.statuses();
            sent += 1;
            taken += usize::from(statuses == [0]);
            let open = endless && !answer.closed;
            let unreadable = bare && answer.text().contains("failed%20to%20decode%20Protobuf%20message");
            let fault = statuses.iter().any(|status| [UNKNOWN, INTERNAL].contains(status)) && !unreadable;
            if fault || (statuses.is_empty() && !open) {
                faults.push(format!("{} round {round}: {}", method.full_name(), answer.text()));
            }
        }
    }
    eprintln!("{sent} messages to all RPCs, {taken} of them taken");
    assert!(taken > 0, "some are good");
    assert!(faults.is_empty(), "{} faults: {:#?}", faults.len(), &faults[..faults.len().min(5)]);
    lives(&victim).await;
}
