//! A certificate authority of our own, so that clients that insist on TLS can reach the endpoint.

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

/// The listeners' side of TLS, and the file that clients must trust.
#[derive(Clone)]
pub(in crate::local::arm) struct Authority {
    pub acceptor: TlsAcceptor,
    pub ca_file: PathBuf,
}

impl Authority {
    /// Makes or reopens the authority in `folder`, and a certificate for 127.0.0.1 and localhost.
    ///
    /// # Guarantees
    ///
    /// `ca.pem` stays the same file as long as the folder does, so that a client needs it once. Its key is readable by the
    /// owner only.
    pub(in crate::local::arm) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let ca_file = folder.join("ca.pem");
        let (key, params) = (ca_key(&folder.join("ca-key.pem"))?, ca_params());
        if !ca_file.exists() {
            let certificate = params.self_signed(&key).map_err(io::Error::other)?;
            fs::write(&ca_file, certificate.pem())?;
        }
        let config = server_config(&Issuer::new(params, key))?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_file,
        })
    }
}

fn ca_key(file: &Path) -> io::Result<KeyPair> {
    if let Ok(pem) = fs::read_to_string(file) {
        return KeyPair::from_pem(&pem).map_err(io::Error::other);
    }
    let key = KeyPair::generate().map_err(io::Error::other)?;
    crate::local::arm::persist::write_private(file, key.serialize_pem().as_bytes())?;
    Ok(key)
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Verdigris local clouds");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn server_config(authority: &Issuer<'_, KeyPair>) -> io::Result<ServerConfig> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params =
        CertificateParams::new(vec!["localhost".to_owned()]).map_err(io::Error::other)?;
    params
        .subject_alt_names
        .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    params.distinguished_name = common_name("127.0.0.1");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params
        .signed_by(&key, authority)
        .map_err(io::Error::other)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
