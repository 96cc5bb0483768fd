//! The form of a stored value: one header line with schema version and checksum, then the record's JSON.
//!
//! The checksum covers tree, key, version and text, so a value that ended up under a foreign key does not pass for that key's own.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{RawRecord, Tree};
use crate::name::hex;

#[derive(Serialize, Deserialize)]
struct Header {
    v: u32,
    sum: String,
}

/// The bytes to store for a record.
pub fn seal(tree: Tree, key: &str, schema: u32, json: &str) -> Vec<u8> {
    let sum = checksum(tree, key, schema, json);
    format!("{{\"v\":{schema},\"sum\":\"{sum}\"}}\n{json}").into_bytes()
}

/// The record in stored bytes.
///
/// # Errors
///
/// Says what is wrong with bytes that are not exactly what [`seal`] made for this tree and key.
pub fn open(tree: Tree, key: &[u8], bytes: &[u8]) -> Result<RawRecord, String> {
    let text = |bytes: &[u8], what: &str| {
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("{what} is not text"))
    };
    let key = text(key, "key")?;
    let value = text(bytes, "value")?;
    let (header, json) = value.split_once('\n').ok_or("header line is missing")?;
    let Header { v: schema, sum } =
        serde_json::from_str(header).map_err(|error| format!("header is not readable: {error}"))?;
    if sum != checksum(tree, &key, schema, json) {
        return Err("checksum does not match".to_owned());
    }
    let json = json.to_owned();
    Ok(RawRecord { key, schema, json })
}

/// Half of a SHA-256 is plenty against accidents; it is no protection against people, who could write a new sum.
fn checksum(tree: Tree, key: &str, schema: u32, json: &str) -> String {
    let mut hash = Sha256::new();
    for part in [tree.name(), key, &schema.to_string(), json] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let sealed = seal(Tree::Live, "prod/stock", 3, r#"{"a":[1,2.5,"x"]}"#);
        let record = open(Tree::Live, b"prod/stock", &sealed).unwrap();
        assert_eq!(
            (record.schema, record.json.as_str()),
            (3, r#"{"a":[1,2.5,"x"]}"#)
        );
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open(Tree::Live, b"prod/stock", &flipped).is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_value_under_a_foreign_key_or_tree_is_refused() {
        let sealed = seal(Tree::Live, "a", 1, "1");
        assert!(open(Tree::Live, b"b", &sealed).is_err());
        assert!(open(Tree::Meta, b"a", &sealed).is_err());
        assert!(open(Tree::Live, b"\xff", &sealed).is_err());
    }
}
