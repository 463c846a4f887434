//! A phone to look at: its column of keys, who is signed in and until when, and what just happened.

use std::io;

use ratatui::crossterm::event::{self, Event as Key, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};
use ratatui::{DefaultTerminal, Frame};
use roamline_proto::profile::EffectiveConfiguration;

use super::face::{Command, Face};
use super::link::{Done, Event, Phone};
use crate::drawing::parts;
use crate::exit::Failure;
use crate::words::{instant, of_enum};

/// The terminal, given back when it is dropped.
pub(super) struct Screen {
    name: String,
    terminal: DefaultTerminal,
    news: String,
}

impl Screen {
    pub(super) fn open(name: String) -> Result<Self, Failure> {
        Ok(Self { name, terminal: ratatui::try_init()?, news: String::new() })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

impl Face for Screen {
    fn show(&mut self, phone: &Phone, event: Event) -> Result<(), Failure> {
        if let Some(news) = news(event) {
            self.news = news;
        }
        self.redraw(phone)
    }

    fn redraw(&mut self, phone: &Phone) -> Result<(), Failure> {
        let (name, news) = (&self.name, &self.news);
        self.terminal.draw(|frame| draw(frame, name, phone, news))?;
        Ok(())
    }
}

/// One key.
pub(super) fn read_command() -> io::Result<Option<Command>> {
    Ok(match event::read()? {
        Key::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Command::Quit),
            KeyCode::Char('h' | 'H') => Some(Command::Toggle),
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Command::Quit),
            _ => None,
        },
        Key::Resize(..) => Some(Command::Redraw),
        _ => None,
    })
}

fn news(event: Event) -> Option<String> {
    Some(match event {
        Event::Linked => "linked".into(),
        Event::Updated => "something new to wear".into(),
        Event::Restarting => "restarting ...".into(),
        Event::Applied(done) => told(done),
        Event::Disconnected | Event::Acknowledged | Event::Hook => return None,
    })
}

fn told(done: Done) -> String {
    let parts = [
        (done.restarted, "restarted"),
        (done.reset, "reset"),
        (done.cleared_call_history, "call history cleared"),
        (done.cancelled_call_back, "call back cancelled"),
    ];
    let parts: Vec<&str> = parts.iter().filter(|(done, _)| *done).map(|(_, word)| *word).collect();
    if parts.is_empty() { "wears its configuration".into() } else { parts.join(", ") }
}

fn draw(frame: &mut Frame<'_>, name: &str, phone: &Phone, news: &str) {
    let empty = EffectiveConfiguration::default();
    let worn = phone.worn().and_then(|worn| worn.configuration.as_ref()).unwrap_or(&empty);
    let title = format!(" {name}  {} ", worn.model);
    let body = Block::bordered().border_type(BorderType::Rounded).title(title);
    let inside = body.inner(frame.area());
    frame.render_widget(body, frame.area());
    let left_off = u16::try_from(worn.left_off.len()).unwrap_or(u16::MAX).min(6);
    let [head, keys, dropped, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(3),
        Constraint::Length(if left_off == 0 { 0 } else { left_off + 1 }),
        Constraint::Length(2),
    ])
    .areas(inside);
    frame.render_widget(Paragraph::new(display(phone, worn)), head);
    draw_keys(frame, keys, phone, worn);
    frame.render_widget(Paragraph::new(dropped_lines(worn)).wrap(Wrap { trim: false }), dropped);
    frame.render_widget(Paragraph::new(status(phone, news)), foot);
}

/// The phone's display: who is signed in, since when and until when.
fn display(phone: &Phone, worn: &EffectiveConfiguration) -> Vec<Line<'static>> {
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let session = phone.worn().and_then(|worn| worn.session.as_ref());
    let who = match session {
        Some(session) => Line::styled(format!(" {}", session.user_id), strong.fg(Color::Green)),
        None => match phone.worn().map(|worn| worn.last_user_id.as_str()).filter(|last| !last.is_empty()) {
            Some(last) => Line::styled(format!(" nobody signed in (last: {last})"), strong),
            None => Line::styled(" nobody signed in", strong),
        },
    };
    let until = match session {
        Some(session) if session.expire_time.is_some() => {
            format!(
                " since {} until {}",
                instant(session.login_time.as_ref()),
                instant(session.expire_time.as_ref())
            )
        }
        Some(session) => format!(" since {}", instant(session.login_time.as_ref())),
        None => String::new(),
    };
    let kind = of_enum(worn.worn_kind().as_str_name(), "WORN_KIND_").replace('-', " ");
    vec![who, Line::raw(until), Line::raw(format!(" wears {kind} {}", worn.worn_name))]
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, phone: &Phone, worn: &EffectiveConfiguration) {
    if phone.restarting() {
        let text =
            Line::styled("restarting ...", Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD));
        frame.render_widget(Paragraph::new(text).centered().block(Block::bordered()), area);
        return;
    }
    let empty = worn.button_count.saturating_sub(u32::try_from(worn.buttons.len()).unwrap_or(u32::MAX));
    let free = (0..empty).map(|n| {
        let position = worn.button_count - empty + n + 1;
        Line::styled(format!(" [{position:>2}]"), Style::new().add_modifier(Modifier::DIM))
    });
    let keys: Vec<Line<'_>> = worn
        .buttons
        .iter()
        .map(|button| {
            let (what, number, label, kind) = parts(button);
            let style =
                if what == "line" { Style::new().fg(Color::Cyan) } else { Style::new().fg(Color::Magenta) };
            Line::from(vec![
                Span::raw(format!(" [{:>2}] ", button.position)),
                Span::styled(format!("{number:<16}"), style),
                Span::raw(format!("{label:<20}")),
                Span::styled(format!("{what} {kind}"), Style::new().add_modifier(Modifier::DIM)),
            ])
        })
        .chain(free)
        .collect();
    frame.render_widget(Paragraph::new(keys).block(Block::bordered().title(" keys ")), area);
}

fn dropped_lines(worn: &EffectiveConfiguration) -> Vec<Line<'static>> {
    if worn.left_off.is_empty() {
        return Vec::new();
    }
    let dim = Style::new().add_modifier(Modifier::DIM);
    let head = std::iter::once(Line::styled(" left off:", dim));
    head.chain(worn.left_off.iter().map(|l| Line::raw(format!(" {}: {} ({})", l.what, l.reason, l.rule))))
        .collect()
}

fn status(phone: &Phone, news: &str) -> Vec<Line<'static>> {
    let link = if phone.linked() {
        Span::styled(" linked", Style::new().fg(Color::Green))
    } else if phone.trouble().is_empty() {
        Span::raw(" linking ...")
    } else {
        Span::styled(format!(" not linked: {}", phone.trouble()), Style::new().fg(Color::Red))
    };
    let hook = if phone.off_hook() { "off hook" } else { "on hook" };
    let generation = phone.worn().map(|worn| worn.generation).unwrap_or_default();
    let waits = phone.waiting().map(|next| format!(", {} waits", next.generation)).unwrap_or_default();
    vec![
        Line::from(vec![link, Span::raw(format!(" | {hook} | generation {generation}{waits} | {news}"))]),
        Line::styled(" h handset   q quit", Style::new().add_modifier(Modifier::DIM)),
    ]
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use roamline_proto::session::{PhoneActions, PhoneUpdate, Session};

    use super::super::link::Input;
    use super::*;
    use crate::drawing::example;

    fn drawn(phone: &Phone) -> String {
        let mut terminal = Terminal::new(TestBackend::new(78, 16)).unwrap();
        terminal.draw(|frame| draw(frame, "SEP000DEDAB3566", phone, "linked")).unwrap();
        terminal.backend().to_string()
    }

    fn update(actions: PhoneActions) -> Input {
        Input::Update(Box::new(PhoneUpdate {
            generation: 7,
            configuration: Some(example()),
            session: Some(Session { user_id: "me".into(), ..Session::default() }),
            actions: Some(actions),
            ..PhoneUpdate::default()
        }))
    }

    #[test]
    fn a_phone_shows_its_keys_its_user_and_what_was_left_off() {
        let mut phone = Phone::default();
        phone.step(Input::Linked);
        phone.step(update(PhoneActions::default()));
        insta::assert_snapshot!(drawn(&phone));
    }

    #[test]
    fn a_phone_that_restarts_shows_it() {
        let mut phone = Phone::default();
        phone.step(Input::Linked);
        phone.step(update(PhoneActions { restart: true, ..PhoneActions::default() }));
        assert!(drawn(&phone).contains("restarting ..."));
    }

    #[test]
    fn a_small_terminal_is_no_reason_to_fall_over() {
        let mut phone = Phone::default();
        phone.step(update(PhoneActions::default()));
        for (width, height) in [(1, 1), (5, 3), (20, 4), (300, 2)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, "SEP000DEDAB3566", &phone, "")).unwrap();
        }
    }
}
