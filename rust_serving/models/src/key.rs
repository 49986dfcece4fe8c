//! A service account's private key, and what it signs.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use ureq::tls::PrivateKey;

/// The audience of an assertion, wherever it is exchanged.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
const LIFETIME_S: u64 = 3600;

/// Signs assertions with RS256.
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    id: Option<String>,
}

impl SigningKey {
    /// Reads an RSA key in PEM; `None` if it is no such key.
    pub(crate) fn read(pem: &str, id: Option<String>) -> Option<Self> {
        let key = PrivateKey::from_pem(pem.as_bytes()).ok()?;
        let pair = RsaKeyPair::from_pkcs8(key.der()).or_else(|_| RsaKeyPair::from_der(key.der()));
        Some(Self { pair: pair.ok()?, id })
    }

    /// Returns a signed assertion of `issuer` that asks for `scope`; `None` if the system has no randomness.
    pub(crate) fn assertion(&self, issuer: &str, scope: &str) -> Option<String> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": self.id});
        let claims = json!({
            "iat": now, "exp": now + LIFETIME_S, "iss": issuer, "aud": AUDIENCE, "scope": scope,
        });
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let said = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                said.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!("{said}.{}", encode(&signature)))
    }
}
