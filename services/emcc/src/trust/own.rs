//! Who this cluster is to others: its address, its certificate and its authorities, read from their files at each use, so
//! that whoever renews them (a person, cert-manager) need tell nobody.

use std::io;
use std::path::Path;

use roamline_domain::emcc::trust::{TrustBundle, certificates_in, pem_of};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{CertificateFacts, is_signed_by};
use tokio::io::AsyncReadExt;

use super::{Service, authorities, spiffe_of};

/// No file of certificates is longer.
const LONGEST: u64 = 1 << 20;

/// Who we are.
pub(crate) struct Own {
    /// As others are told.
    pub bundle: TrustBundle,
    /// The certificate that is shown at our address.
    pub shown: CertificateFacts,
    /// Our authorities.
    pub authorities: Vec<CertificateFacts>,
    /// The certificate by which we prove ourselves, and those up to its authority (PEM).
    pub chain: Vec<u8>,
    /// Its key (PEM).
    pub key: Vec<u8>,
}

impl Service {
    /// Who we are, by the files as they are now.
    ///
    /// # Errors
    /// `TRUST_NOT_CONFIGURED`, with what is missing or wrong.
    pub(crate) async fn own(&self) -> Result<Own, Refusal> {
        self.read_own().await.map_err(|why| Refusal::new(ErrorReason::TrustNotConfigured, why))
    }

    async fn read_own(&self) -> Result<Own, String> {
        if self.config.address.is_empty() {
            return Err("emcc.trust.address is not set: other clusters could not reach this one".into());
        }
        let chain = read("emcc.tls.certificate_file", &self.tls.certificate_file).await?;
        let key = read("emcc.tls.key_file", &self.tls.key_file).await?;
        let ours = chain_of("emcc.tls.certificate_file", &chain)?;
        let (shown_key, shown) = match self.config.certificate_file.as_os_str().is_empty() {
            true => ("emcc.tls.certificate_file", ours.clone()),
            false => {
                let file = "emcc.trust.certificate_file";
                (file, chain_of(file, &read(file, &self.config.certificate_file).await?)?)
            }
        };
        let spiffe_id = ours.first().and_then(spiffe_of).unwrap_or_default().to_owned();
        if shown.first().and_then(spiffe_of) != Some(&spiffe_id) {
            return Err(format!("{shown_key}: the certificate does not carry our SPIFFE id {spiffe_id:?}"));
        }
        let chain_der: Vec<_> = shown.iter().map(|one| one.der.clone()).collect();
        let (file, pem) = self.read_bundle(&chain_der).await?;
        let authorities = authorities(&pem).map_err(|why| format!("{file}: {why}"))?;
        if !is_signed_by(&chain_der, &pem_of(&pem), self.clock.now()) {
            return Err(format!(
                "{shown_key}: no authority in {file} has signed the certificate, or it is not valid now"
            ));
        }
        let bundle = TrustBundle {
            cluster: self.cluster.clone(),
            address: self.config.address.clone(),
            spiffe_id,
            authorities: pem,
        };
        // That it is our own cluster is no fault here.
        let wrong = bundle.check(&self.cluster).into_iter().find(|violation| violation.field != "cluster_id");
        if let Some(wrong) = wrong {
            return Err(format!("what this cluster would say of itself is not right: {wrong}"));
        }
        let shown = shown.into_iter().next().ok_or_else(|| format!("{shown_key} holds no certificate"))?;
        Ok(Own { bundle, shown, authorities, chain, key })
    }

    /// The authorities that others are told, and the setting that names their file. Where it is the one of all whom we
    /// believe, only those that have signed `ours`: the others are not ours, and must not stand for us.
    async fn read_bundle(&self, ours: &[Vec<u8>]) -> Result<(&'static str, Vec<String>), String> {
        let own = !self.config.bundle_file.as_os_str().is_empty();
        let (file, path) = match own {
            true => ("emcc.trust.bundle_file", &self.config.bundle_file),
            false => ("emcc.tls.ca_file", &self.tls.ca_file),
        };
        let mut pem = certificates_in(&String::from_utf8_lossy(&read(file, path).await?));
        if !own {
            let now = self.clock.now();
            pem.retain(|authority| is_signed_by(ours, authority, now));
        }
        Ok((file, pem))
    }
}

fn chain_of(key: &str, pem: &[u8]) -> Result<Vec<CertificateFacts>, String> {
    let chain = CertificateFacts::all_of(pem).filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| format!("{key} holds no certificate in PEM"))
}

async fn read(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    if path.as_os_str().is_empty() {
        return Err(format!("{key} is not set"));
    }
    let reading = async {
        let mut bytes = Vec::new();
        tokio::fs::File::open(path).await?.take(LONGEST).read_to_end(&mut bytes).await?;
        Ok(bytes)
    };
    reading.await.map_err(|error: io::Error| format!("{key}: {} cannot be read: {error}", path.display()))
}
