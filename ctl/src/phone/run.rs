//! Runs a phone: the link to the server, which is made again whenever it breaks, the state machine, and its face.

use std::io::{self, IsTerminal};
use std::time::Duration;

use roamline_proto::session::phone_link_service_client::PhoneLinkServiceClient;
use roamline_proto::session::watch_phone_response::Message;
use roamline_proto::session::{
    AcknowledgePhoneRequest, HookState, ReportPhoneRequest, WatchPhoneRequest, WatchPhoneResponse,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status, Streaming};

use super::Run;
use super::face::{Command, Face, commands};
use super::link::{Effect, Input, Phone};
use super::plain::{self, Plain};
use super::screen::{self, Screen};
use crate::client::Client;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::output::Out;

/// How long a restart lasts: long enough to be seen.
const RESTART: Duration = Duration::from_millis(800);
/// The first wait before the link is made again; it doubles up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(5);
/// Heartbeats come at least every 15 seconds; a link that is silent for longer than this is broken.
const SILENCE: Duration = Duration::from_secs(40);

/// Be the phone until its user quits.
pub(super) async fn run(args: Run, client: &Client, out: &mut Out) -> Result<(), Failure> {
    if args.plain || !io::stdout().is_terminal() {
        let face = Plain { name: args.name.clone(), out };
        let commands = commands(plain::read_command);
        return Runner::new(args.name, client, face, RESTART / 4).run(commands).await;
    }
    let face = Screen::open(args.name.clone())?;
    let commands = commands(screen::read_command);
    Runner::new(args.name, client, face, RESTART).run(commands).await
}

struct Runner<'a, F> {
    name: String,
    client: &'a Client,
    face: F,
    phone: Phone,
    restart_for: Duration,
    restarted_at: Option<Instant>,
    stream: Option<Streaming<WatchPhoneResponse>>,
    link_at: Instant,
    wait: Duration,
}

/// What came first.
enum Next {
    Message(Box<Result<Option<WatchPhoneResponse>, Status>>),
    Command(Option<Command>),
    Restarted,
    LinkNow,
    Interrupted,
}

impl<'a, F: Face> Runner<'a, F> {
    fn new(name: String, client: &'a Client, face: F, restart_for: Duration) -> Self {
        Self {
            name,
            client,
            face,
            phone: Phone::default(),
            restart_for,
            restarted_at: None,
            stream: None,
            link_at: Instant::now(),
            wait: FIRST_WAIT,
        }
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) -> Result<(), Failure> {
        self.face.redraw(&self.phone)?;
        let mut listening = true;
        loop {
            match self.next(&mut commands, listening).await {
                Next::Message(message) => self.message(*message).await?,
                Next::Command(Some(Command::Quit)) | Next::Interrupted => return Ok(()),
                Next::Command(Some(command)) => self.command(command).await?,
                Next::Command(None) => listening = false,
                Next::Restarted => {
                    self.restarted_at = None;
                    self.step(Input::Restarted).await?;
                }
                Next::LinkNow => self.link().await?,
            }
        }
    }

    async fn next(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>, listening: bool) -> Next {
        let restarted_at = self.restarted_at;
        let link_at = self.stream.is_none().then_some(self.link_at);
        let far = Instant::now() + SILENCE;
        tokio::select! {
            message = message(self.stream.as_mut()) => Next::Message(Box::new(message)),
            command = commands.recv(), if listening => Next::Command(command),
            () = sleep_until(restarted_at.unwrap_or(far)), if restarted_at.is_some() => Next::Restarted,
            () = sleep_until(link_at.unwrap_or(far)), if link_at.is_some() => Next::LinkNow,
            _ = tokio::signal::ctrl_c() => Next::Interrupted,
        }
    }

    async fn message(&mut self, message: Result<Option<WatchPhoneResponse>, Status>) -> Result<(), Failure> {
        match message {
            Ok(Some(WatchPhoneResponse { message: Some(Message::Update(update)) })) => {
                self.step(Input::Update(Box::new(update))).await
            }
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.broken("the server ended the link").await,
            Err(status) => self.refused(&status).await,
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Toggle => self.step(Input::Handset(!self.phone.off_hook())).await,
            Command::Lift => self.step(Input::Handset(true)).await,
            Command::PutDown => self.step(Input::Handset(false)).await,
            Command::Redraw | Command::Quit => self.face.redraw(&self.phone),
        }
    }

    async fn link(&mut self) -> Result<(), Failure> {
        let request = WatchPhoneRequest { phone: self.name.clone() };
        let watch = self.client.try_call(|service| {
            let request = request.clone();
            async move { PhoneLinkServiceClient::new(service).watch_phone(request).await }
        });
        match watch.await {
            Ok(Ok(stream)) => {
                self.stream = Some(stream);
                self.wait = FIRST_WAIT;
                self.step(Input::Linked).await
            }
            Ok(Err(status)) => self.refused(&status).await,
            // Signing in can fail for want of a server, too.
            Err(failure) if failure.exit == Exit::Unavailable => {
                self.broken("the server does not answer").await
            }
            Err(failure) => Err(failure),
        }
    }

    /// A refusal that will not go away ends the phone; others break the link for a while.
    async fn refused(&mut self, status: &Status) -> Result<(), Failure> {
        match status.code() {
            Code::NotFound | Code::PermissionDenied | Code::InvalidArgument | Code::Unimplemented => {
                Err(self.client.failure(status))
            }
            // A token that ended meanwhile is renewed with the next link; one that cannot be is refused there.
            Code::Unauthenticated if self.stream.is_none() => Err(self.client.failure(status)),
            Code::Unavailable => self.broken("the server does not answer").await,
            code => self.broken(&format!("{code:?}: {}", status.message())).await,
        }
    }

    async fn broken(&mut self, why: &str) -> Result<(), Failure> {
        self.stream = None;
        self.link_at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
        self.step(Input::Unlinked(why.to_owned())).await
    }

    /// Takes a step of the phone and does what it wants.
    async fn step(&mut self, input: Input) -> Result<(), Failure> {
        let mut effects = std::collections::VecDeque::from(self.phone.step(input));
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Tell(event) => self.face.show(&self.phone, event)?,
                Effect::Restart => self.restarted_at = Some(Instant::now() + self.restart_for),
                Effect::Acknowledge(generation) => {
                    let request = AcknowledgePhoneRequest { phone: self.name.clone(), generation };
                    let answer = ask!(self.client, PhoneLinkServiceClient::acknowledge_phone, request);
                    if self.took(answer.map(|_| ()), &mut effects)? {
                        effects.extend(self.phone.step(Input::Acknowledged(generation)));
                    }
                }
                Effect::ReportHook => {
                    let hook = if self.phone.off_hook() { HookState::OffHook } else { HookState::OnHook };
                    let request = ReportPhoneRequest {
                        phone: self.name.clone(),
                        hook_state: hook.into(),
                        ..Default::default()
                    };
                    let answer = ask!(self.client, PhoneLinkServiceClient::report_phone, request);
                    self.took(answer.map(|_| ()), &mut effects)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the server took something. If it did not, the link is made again: then everything is said again.
    fn took(
        &mut self,
        answer: Result<(), Failure>,
        effects: &mut std::collections::VecDeque<Effect>,
    ) -> Result<bool, Failure> {
        match answer {
            Ok(()) => Ok(true),
            Err(failure) if [Exit::NotFound, Exit::Denied].contains(&failure.exit) => Err(failure),
            Err(failure) => {
                self.stream = None;
                self.link_at = Instant::now() + self.wait;
                self.wait = (self.wait * 2).min(LAST_WAIT);
                effects.extend(self.phone.step(Input::Unlinked(failure.to_string())));
                Ok(false)
            }
        }
    }
}

/// The next message of the link; without a link, never.
async fn message(
    stream: Option<&mut Streaming<WatchPhoneResponse>>,
) -> Result<Option<WatchPhoneResponse>, Status> {
    match stream {
        Some(stream) => timeout(SILENCE, stream.message())
            .await
            .unwrap_or_else(|_| Err(Status::unavailable("the link is silent"))),
        None => std::future::pending().await,
    }
}
