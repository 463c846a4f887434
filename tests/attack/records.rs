//! Records in Redis that somebody has damaged, or that another program has written there: calls are answered, with a
//! fault of the server where there is one, nothing panics, and what is whole is served.

use std::fs;
use std::process::Command;
use std::time::Duration;

use redis::{Connection, RedisResult, Value};
use roamline_proto::session::{ListSessionsRequest, LocateNumberRequest};
use tokio::time::timeout;

use crate::arbitrary::Dice;
use crate::clients::{line, login, logout, phone_name, sessions, user};
use crate::number;
use crate::postgres::Server as Database;
use crate::process::{Site, start};
use crate::servers::Redis;
use crate::victim::Victim;

/// How long a call may take whose record is damaged.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

fn ask<T: redis::FromRedisValue>(to: &mut Connection, command: &str, arguments: &[&[u8]]) -> RedisResult<T> {
    let mut command = redis::cmd(command);
    for argument in arguments {
        command.arg(*argument);
    }
    command.query(to)
}

fn harmed(dice: &mut Dice, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    match dice.roll(6) {
        0 => bytes.truncate(dice.roll(bytes.len() + 1)),
        1 => bytes = dice.bytes(200),
        2 => bytes.clear(),
        3 => bytes.extend(dice.bytes(40)),
        _ => {
            for _ in 0..=dice.roll(4) {
                let at = dice.roll(bytes.len().max(1));
                if let (Some(byte), Some(new)) = (bytes.get_mut(at), dice.bytes(8).first()) {
                    *byte = *new;
                }
            }
        }
    }
    bytes
}

/// Damages one value of one record, whatever its kind.
fn damage(dice: &mut Dice, to: &mut Connection, key: &[u8]) {
    let kind: String = ask(to, "TYPE", &[key]).unwrap();
    let done: RedisResult<Value> = match kind.as_str() {
        "string" => {
            let good: Vec<u8> = ask(to, "GET", &[key]).unwrap();
            ask(to, "SET", &[key, &harmed(dice, &good)])
        }
        "hash" => {
            let all: Vec<Vec<u8>> = ask(to, "HGETALL", &[key]).unwrap();
            let pair = 2 * dice.roll(all.len() / 2);
            ask(to, "HSET", &[key, &all[pair], &harmed(dice, &all[pair + 1])])
        }
        "zset" => ask(to, "ZADD", &[key, dice.roll(1_000_000_000).to_string().as_bytes(), &dice.bytes(60)]),
        "set" => ask(to, "SADD", &[key, &dice.bytes(60)]),
        "list" => ask(to, "RPUSH", &[key, &dice.bytes(60)]),
        // Of another kind than it must be.
        _ => ask(to, "DEL", &[key]).and_then(|_: Value| ask(to, "SET", &[key, b"x"])),
    };
    done.unwrap();
}

/// Every call that meets it, at once; what they answer is for others to test.
async fn call_all(victim: &Victim) {
    let mut client = sessions(&victim.server, &victim.admin);
    for n in 1..3 {
        let located = LocateNumberRequest { line: line(n) };
        let calls = async {
            let _ = client.list_sessions(ListSessionsRequest::default()).await;
            let _ = client.login(login(&user(n), &phone_name(n))).await;
            let _ = client.locate_number(located).await;
            let _ = client.logout(logout(&phone_name(n))).await;
        };
        timeout(ANSWERED_WITHIN, calls).await.expect("each is answered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_records_of_sessions_are_told_and_nothing_panics() {
    Database::of_all().create("damaged");
    let redis = Redis::start(&[]);
    let site = Site::on_postgres(&Database::of_all().url("damaged")).set("REDIS__URL", &redis.url());
    let log = site.home().join("log");
    let up = site.up();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>\"$LOG\"", "sh"]).arg(up.get_program()).args(up.get_args());
    shell.envs(up.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("LOG", &log);
    let victim = Victim::with(site, start(shell).expect("it starts"), 3).await;
    call_all(&victim).await;
    for n in 1..3 {
        let login = login(&user(n), &phone_name(n));
        sessions(&victim.server, &victim.admin).login(login).await.expect("an agent logs in");
    }

    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut dice = Dice::new(5);
    let keys: Vec<Vec<u8>> = ask(&mut connection, "KEYS", &[b"*"]).unwrap();
    assert!(keys.len() > 3, "{keys:?}");
    for _ in 0..number(3, 60) {
        for key in &keys {
            // A record may have gone with a session that ended.
            let whole: Option<Vec<u8>> = ask(&mut connection, "DUMP", &[key]).unwrap();
            let Some(whole) = whole else { continue };
            damage(&mut dice, &mut connection, key);
            call_all(&victim).await;
            let _: Value = ask(&mut connection, "RESTORE", &[key, b"0", &whole, b"REPLACE"]).unwrap();
        }
    }
    let said = fs::read_to_string(&log).unwrap();
    let panics: Vec<_> = said.lines().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
    victim.survives("records that are damaged").await;
}
