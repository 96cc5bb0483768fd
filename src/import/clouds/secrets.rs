//! Which variables hold what nobody should see. Pure.

/// Parts of names of variables whose values nobody should see.
const SECRET_NAMES: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "PRIVATE",
    "CONNECTIONSTRING",
    "CONNECTION_STRING",
    "DSN",
    "SIGNATURE",
];

/// By its name, and by what it looks like: better a secret too many than one in Git.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let by_name = SECRET_NAMES.iter().any(|part| upper.contains(part));
    let with_password = value
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|it| it.contains('@')));
    let reference = value.starts_with("@Microsoft.KeyVault(") || value.contains("AccountKey=");
    let is_code = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let dense = value.len() >= 32
        && value.chars().all(is_code)
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    by_name || with_password || reference || dense
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_like_a_secret_is_none_of_git() {
        for (name, value, secret) in [
            ("LOG_LEVEL", "debug", false),
            ("TABLE", "orders-prod", false),
            ("DB_PASSWORD", "x", true),
            ("STRIPE_KEY", "", true),
            ("DATABASE_URL", "postgres://shop:hunter2@db/shop", true),
            ("PAGE", "https://example.com/@me", false),
            (
                "STORAGE",
                "DefaultEndpointsProtocol=https;AccountKey=abc",
                true,
            ),
            ("OPAQUE", "9f86d081884c7d659a2feaa0c55ad015", true),
            ("SECTION", "a-long-name-of-words-without-numbers", false),
        ] {
            assert_eq!(is_secret(name, value), secret, "{name}={value}");
        }
    }
}
