//! Addresses come from configuration files: any text may arrive.

use proptest::prelude::*;
use verdigris::git::{
    credentials::Credentials,
    source::{RemoteUrl, Source},
};

use super::main_of;

#[test]
fn the_four_kinds_of_address_are_taken_as_written() {
    for url in [
        "file:///srv/shop.git",
        "http://127.0.0.1:8080/shop.git",
        "https://example.com/team/shop",
        "ssh://git@example.com:2222/team/shop.git",
        "ssh://git@[::1]:22/~git/shop.git",
        "git@example.com:team/shop.git",
        "example.com:shop.git",
    ] {
        assert_eq!(url.parse::<RemoteUrl>().unwrap().to_string(), url);
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused_without_repeating_a_secret() {
    for (url, told) in [
        ("", "must read file://"),
        ("/srv/shop.git", "must read file://"),
        ("git://example.com/x", "must read file://"),
        ("ext::sh", "must read git@host:path"),
        (
            "https://user:s3cret@example.com/x",
            "`https://example.com/…` carries a password",
        ),
        (
            "https://s3cret@example.com/x",
            "`https://example.com/…` carries a user name or a token",
        ),
        ("https://example.com/x?token=s3cret", "must not hold `?`"),
        ("https://example.com/x?token=a@s3cret", "must not hold `?`"),
        ("https://u:p?s3cret@example.com/x", "is not a URL"),
        ("https://u:p/s3cret@example.com/x", "is not a URL"),
        ("ssh://git:s3cret@example.com/x", "carries a password"),
        ("git:s3cret@example.com:x", "without a password"),
        (
            "ssh://-oProxyCommand=x/y",
            "a host that ssh cannot be trusted with",
        ),
        (
            "ssh://-l@example.com/y",
            "a user name that ssh cannot be trusted with",
        ),
        (
            "-oProxyCommand=x:y",
            "a host that ssh cannot be trusted with",
        ),
        ("https://example.com/", "names no repository"),
        (
            "https://example.com/a%0ab",
            "a control character in its path",
        ),
        ("https://example.com/a b", "a space or a control character"),
        ("https://example.com/a\nb", "a space or a control character"),
        ("file://elsewhere/srv/x", "names a host"),
        ("ssh://exa$mple.com/x", "that ssh cannot be trusted with"),
    ] {
        let error = url.parse::<RemoteUrl>().unwrap_err().to_string();
        assert!(error.contains(told), "{url}: {error}");
        assert!(!error.contains("s3cret"), "{url}: {error}");
    }
}

#[test]
fn credentials_must_fit_the_address() {
    let token = || Credentials::Token {
        username: "robot".to_owned(),
        token: "s3cret".into(),
    };
    let ssh = |key: &str| Credentials::Ssh {
        key: key.into(),
        known_hosts: "/known".into(),
    };
    for (url, credentials, told) in [
        ("http://example.com/x", token(), "unencrypted"),
        ("file:///x", token(), "of no use"),
        ("git@example.com:x", token(), "of no use"),
        ("https://example.com/x", ssh("/k"), "of no use"),
        ("git@example.com:x", ssh("k"), "absolute"),
        ("git@example.com:x", ssh("/k\" x"), "rename the file"),
        ("git@example.com:x", ssh("/${HOME}/k"), "rename the file"),
    ] {
        let source = Source {
            credentials,
            ..main_of(url)
        };
        let error = source.check().unwrap_err().to_string();
        assert!(error.contains(told), "{url}: {error}");
        assert!(!format!("{source:?} {error}").contains("s3cret"));
    }
}

#[test]
fn odd_reference_names_are_refused() {
    use verdigris::git::source::Reference;
    for name in [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "../x",
        "a b",
        "x.lock",
        "a\nb",
        "x~1",
        "@{",
    ] {
        assert!(
            Reference::Branch(name.to_owned()).check().is_err(),
            "{name}"
        );
        assert!(Reference::Tag(name.to_owned()).check().is_err(), "{name}");
    }
    Reference::Branch("feature/one".to_owned()).check().unwrap();
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_and_never_panics(text in any::<String>()) {
        drop(text.parse::<RemoteUrl>());
    }

    #[test]
    fn a_password_is_never_accepted_nor_repeated(
        scheme in "(https?|ssh|file|git)",
        user in "[a-z]{0,5}",
        host in "[a-z0-9.-]{0,12}",
        rest in "[ -~]{0,12}",
    ) {
        let url = format!("{scheme}://{user}:s3cret@{host}/{rest}");
        let error = url.parse::<RemoteUrl>().unwrap_err().to_string();
        prop_assert!(!error.contains("s3cret"), "{}", error);
    }
}
