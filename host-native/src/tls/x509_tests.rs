//! Certificates that are read, and bytes that are none.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::ParsedCertificate;
use sansq_tests::certificates::rcgen::{CertificateParams, DnType, DnValue, IsCa, KeyPair};
use sansq_tests::certificates::{Pair, version_1};

use super::*;

fn der(path: &std::path::Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// Of a certificate that rcgen makes with these parameters.
fn made(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

#[test]
fn certificates_of_version_1_are_read() {
    let fixtures = version_1();
    for (Pair { cert, .. }, name) in
        [(&fixtures.signed, "old but known"), (&fixtures.rsa, "old and RSA"), (&fixtures.alone, "old and alone")]
    {
        let cert = der(cert);
        let read = Certificate::parse(&cert).unwrap();
        assert_eq!((read.version, read.common_name().as_deref()), (1, Some(name)));
        // 2020-01-01 to 2120-01-01, the latter with four digits for the year.
        assert_eq!(read.check_time(at(1_577_836_799)), Err(CertificateError::NotValidYet));
        assert_eq!(read.check_time(at(1_577_836_800)), Ok(()));
        assert_eq!(read.check_time(at(4_733_510_400)), Ok(()));
        assert_eq!(read.check_time(at(4_733_510_401)), Err(CertificateError::Expired));
        assert!(read.is_authority() && read.may_be_used_for(oid::SERVER_AUTH));
        assert!(ParsedCertificate::try_from(&cert).is_err(), "webpki reads them by now: is all this still needed?");
    }
}

#[test]
fn certificates_of_version_3_are_read_as_webpki_reads_them() {
    let cert = der(&version_1().root);
    let read = Certificate::parse(&cert).unwrap();
    assert_eq!((read.version, read.is_authority()), (3, true));
    let key = ParsedCertificate::try_from(&cert).unwrap().subject_public_key_info();
    assert_eq!(read.public_key, key.as_ref());
    let leaf = made(|params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = Certificate::parse(&leaf).unwrap();
    assert!(!leaf.is_authority() && leaf.may_be_used_for(oid::CLIENT_AUTH));
    let leaf = made(|params| params.extended_key_usages.push(rcgen_usage()));
    let leaf = Certificate::parse(&leaf).unwrap();
    assert!(leaf.may_be_used_for(oid::SERVER_AUTH) && !leaf.may_be_used_for(oid::CLIENT_AUTH));
}

fn rcgen_usage() -> sansq_tests::certificates::rcgen::ExtendedKeyUsagePurpose {
    sansq_tests::certificates::rcgen::ExtendedKeyUsagePurpose::ServerAuth
}

#[test]
fn the_common_name_may_be_any_string() {
    let bmp = DnValue::BmpString("Jürgen".try_into().unwrap());
    let teletex = DnValue::TeletexString("old".try_into().unwrap());
    let printable = DnValue::PrintableString("plain".try_into().unwrap());
    for (value, text) in [(bmp, "Jürgen"), (teletex, "old"), (printable, "plain"), ("Zoë".into(), "Zoë")] {
        let cert = made(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "before");
            params.distinguished_name.push(DnType::CommonName, value);
        });
        assert_eq!(Certificate::parse(&cert).unwrap().common_name().as_deref(), Some(text));
    }
    let nameless =
        made(|params| params.distinguished_name = sansq_tests::certificates::rcgen::DistinguishedName::new());
    assert_eq!(Certificate::parse(&nameless).unwrap().common_name(), None);
}

#[test]
fn times_have_two_forms() {
    let time = |tag, text: &str| seconds(Element { tag, content: text.as_bytes(), whole: &[] });
    for (tag, text, expected) in [
        (tag::UTC_TIME, "700101000000Z", Some(0)),
        (tag::UTC_TIME, "500101000000Z", Some(-631_152_000)),
        (tag::UTC_TIME, "491231235959Z", Some(2_524_607_999)),
        (tag::UTC_TIME, "000229120000Z", Some(951_825_600)),
        (tag::GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
        (tag::GENERALIZED_TIME, "00000101000000Z", Some(-62_167_219_200)),
        (tag::UTC_TIME, "700101000000", None),
        (tag::UTC_TIME, "701301000000Z", None),
        (tag::UTC_TIME, "70010100000:Z", None),
        (tag::GENERALIZED_TIME, "700101000000Z", None),
        (tag::UTC_TIME, "", None),
    ] {
        assert_eq!(time(tag, text), expected, "{text}");
    }
}

/// Everything that is ever asked of a certificate, of bytes that need not be one.
fn ask_everything(bytes: &[u8]) -> bool {
    let Some(read) = Certificate::parse(bytes) else { return false };
    _ = (read.common_name(), read.check_time(at(1_700_000_000)), read.is_authority());
    _ = (read.may_be_used_for(oid::CLIENT_AUTH), read.extension(oid::NAME_CONSTRAINTS));
    true
}

/// From fixed seeds, so that what fails once fails again.
#[test]
fn damaged_certificates_are_refused_or_read_and_never_a_panic() {
    let fixtures = version_1();
    let mut rng = sansq_core::rng::Rng::new(1);
    let mut read = [0, 0];
    for path in [&fixtures.root, &fixtures.signed.cert, &fixtures.rsa.cert] {
        let cert = der(path);
        for cut in 0..cert.len() {
            assert!(!ask_everything(&cert[..cut]), "{}: {cut}", path.display());
        }
        for _ in 0..20_000 {
            let mut bytes = cert.to_vec();
            for _ in 0..=rng.below(4) {
                let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
                match rng.below(4) {
                    0 => bytes[at] = rng.below(256) as u8,
                    1 => bytes[at] ^= 1 << rng.below(8),
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, [0x80, 0x84, 0xff, 0x1f, 0x30][rng.below(5) as usize]),
                }
            }
            read[usize::from(ask_everything(&bytes))] += 1;
        }
    }
    assert!(read.iter().all(|&count| count > 1_000), "refused and read: {read:?}");
}
