//! The scripts, and the keys of a cluster that each of them uses. Every key has the cluster's hash tag, so that all of
//! them stand on one slot; every script names all its keys, so that a slot that moves refuses it before it begins.

use redis::Cmd;
use roamline_domain::ClusterId;

/// The format of what is kept; another one is not touched.
pub(crate) const FORMAT: &str = "2";

/// What a guarded script begins with: it has at hand, too, the place of the last event, the number of changes, the
/// floors of guards and of epochs, and of which history all of it is.
const GUARD: &str = "local head = call('HMGET', meta, 'born', 'seq', 'rev', 'guards', 'epochs', 'run')\n\
                     if head[1] ~= ARGV[1] then return {'lost'} end\n";

/// How phones are read, for scripts that have their keys.
const READ: &str = include_str!("lua/read.lua");

/// The name of a key.
fn key(cluster: &ClusterId, name: &str) -> String {
    format!("roamline:{{{cluster}}}:{name}")
}

/// One script.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) keys: Vec<String>,
    hash: String,
}

impl Script {
    /// `source` begins with the names of its keys, which are its variables, too; they are those with `prefix` before
    /// them in the store. A guarded script does nothing in a store that was begun by another than its first argument.
    fn new(cluster: &ClusterId, prefix: &str, guarded: bool, source: &str) -> Self {
        let header = source.lines().next().unwrap_or_default();
        let names: Vec<_> = header.trim_start_matches("-- keys:").split_whitespace().collect();
        let variables: Vec<_> = names.iter().map(|name| name.replace(':', "_")).collect();
        let mut text = format!("local call = redis.call\nlocal {} = unpack(KEYS)\n", variables.join(", "));
        text += match guarded {
            true => GUARD,
            false => "local head = {}\n",
        };
        if names.contains(&"phones") && names.contains(&"renderings") {
            text += READ;
        }
        text += source;
        let hash = redis::Script::new(&text).get_hash().to_owned();
        let keys = names.iter().map(|name| key(cluster, &format!("{prefix}{name}"))).collect();
        Self { text, keys, hash }
    }

    /// A call with that first argument; others follow.
    pub(crate) fn call(&self, first: impl redis::ToRedisArgs) -> Cmd {
        let mut cmd = self.bare();
        cmd.arg(first);
        cmd
    }

    /// A call without arguments.
    pub(crate) fn bare(&self) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.hash).arg(self.keys.len()).arg(&self.keys);
        cmd
    }
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: $prefix:literal, $guarded:literal, $($file:literal)+;)+) => {
        /// All scripts of a cluster.
        #[derive(Debug)]
        pub(crate) struct Scripts {
            $($(#[$doc])* pub(crate) $name: Script,)+
            /// The stream of events.
            pub(crate) events: String,
        }

        impl Scripts {
            pub(crate) fn new(cluster: &ClusterId) -> Self {
                Self {
                    $($name: Script::new(
                        cluster, $prefix, $guarded, concat!($(include_str!(concat!("lua/", $file, ".lua"))),+),
                    ),)+
                    events: key(cluster, "events"),
                }
            }

            pub(crate) fn all(&self) -> Vec<&Script> {
                vec![$(&self.$name),+]
            }
        }
    };
}

scripts! {
    load: "", true, "load";
    session: "", true, "session";
    list: "", true, "list";
    of_user: "", true, "of_user";
    touched: "", true, "touched";
    place: "", true, "place";
    count: "", true, "count";
    due: "", true, "due";
    next_deadline: "", true, "next_deadline";
    events_after: "", true, "events";
    reply: "", true, "reply";
    barrier: "", true, "barrier";
    trim: "", true, "trim";
    commit: "", true, "apply" "commit";
    /// Not guarded, as those that follow: they are for stores that are not begun.
    begun: "", false, "begun";
    stage: "new:", false, "apply" "stage";
    take: "", false, "take";
    finish: "", false, "finish";
    attach: "", false, "attach";
    check: "", false, "check";
    probe: "", false, "probe";
}
