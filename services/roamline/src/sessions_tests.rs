use super::*;

fn sessions(text: &str) -> Result<Option<Sessions>, String> {
    let config: RedisConfig = toml::from_str(text).map_err(|error| error.to_string())?;
    Sessions::new(&config).map_err(|error| format!("{error:#}"))
}

fn name(text: &str) -> String {
    sessions(text).unwrap().unwrap().to_string()
}

#[test]
fn without_a_server_there_is_none() {
    assert!(sessions("").unwrap().is_none());
    assert!(sessions("command_timeout = '5s'").unwrap().is_none());
}

#[test]
fn each_way_to_servers_is_called_by_its_addresses_and_not_by_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, "rediss://roamline:s3cret@redis.example.org:6380/2\n").unwrap();
    assert_eq!(name(&format!("url_file = '{}'", file.display())), "Redis at redis.example.org:6380/2");
    assert_eq!(name("url = 'redis://:s3cret@localhost:6379'"), "Redis at localhost:6379");
    let sentinel =
        "password = 's3cret'\n[sentinel]\nurls = ['redis://a:26379', 'redis://b:26379']\nmaster = 'phones'";
    assert_eq!(name(sentinel), "Redis phones behind the sentinels at a:26379, b:26379");
    assert_eq!(name("cluster = ['redis://a:6379', 'redis://b:6379']"), "Redis Cluster at a:6379, b:6379");
}

#[test]
fn what_contradicts_itself_is_refused_with_the_reason_and_without_secrets() {
    let url = "url = 'redis://localhost'\n";
    let wrong = [
        ("url = 'http://:s3cret@localhost'".to_owned(), "redis.url is not an address"),
        ("url = 'redis://:s3cret@'".to_owned(), "redis.url names no host"),
        (format!("{url}url_file = '/x'"), "redis.url and redis.url_file are both set"),
        ("url_file = '/nonexistent/url'".to_owned(), "/nonexistent/url cannot be read"),
        (format!("{url}cluster = ['redis://a']"), "redis.url and redis.cluster exclude each other"),
        (
            "cluster = ['redis://a']\n[sentinel]\nmaster = 'm'".to_owned(),
            "redis.sentinel and redis.cluster exclude",
        ),
        ("[sentinel]\nmaster = 'm'".to_owned(), "redis.sentinel.urls is empty"),
        ("[sentinel]\nurls = ['redis://a']".to_owned(), "redis.sentinel.master is empty"),
        ("cluster = ['redis://:s3cret@a']".to_owned(), "redis.cluster names a user or a password"),
        ("cluster = ['redis://a', 'rediss://b']".to_owned(), "has both redis:// and rediss://"),
        ("url = 'redis://:s3cret@a'\npassword = 's3cret'".to_owned(), "does, too"),
        (format!("{url}password = 's3cret'\npassword_file = '/x'"), "are both set"),
        ("password = 's3cret'".to_owned(), "says which server"),
        ("[durability]\nreplicas = 1".to_owned(), "says which server"),
        (format!("{url}[durability]\nreplicas = 1\ntimeout = '0s'"), "durability.timeout is 0"),
        (format!("{url}command_timeout = '0s'"), "redis.command_timeout is 0"),
        (format!("{url}[tls]\nca_file = '/x'"), "begin it with rediss://"),
        ("url = 'rediss://a'\n[tls]\ncertificate_file = '/x'".to_owned(), "belong together"),
        (
            "url = 'rediss://a'\n[tls]\nca_file = '/nonexistent/ca'".to_owned(),
            "/nonexistent/ca cannot be read",
        ),
        (format!("{url}[durability]\nreplica = 1"), "unknown field `replica`"),
    ];
    for (text, says) in wrong {
        let refused = sessions(&text).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert!(refused.contains(says) && !refused.contains("s3cret"), "{text}: {refused}");
    }
}
