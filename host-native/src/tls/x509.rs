//! Reads X.509 certificates of any version, as far as this crate needs it: the version, the names, the key, the period, and
//! extensions by their numbers.
//!
//! webpki verifies chains, and reads version 3 only. This reader is for certificates that nobody verifies, for those of version
//! 1 and 2, and for the common name that auth servers are told. It holds slices of the input, copies nothing and has no
//! recursion. Any bytes are allowed as input: what is not a certificate is `None`.

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// Tags of DER.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const BIT_STRING: u8 = 0x03;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OID: u8 = 0x06;
    pub(super) const UTF8_STRING: u8 = 0x0c;
    pub(super) const NUMERIC_STRING: u8 = 0x12;
    pub(super) const PRINTABLE_STRING: u8 = 0x13;
    pub(super) const T61_STRING: u8 = 0x14;
    pub(super) const IA5_STRING: u8 = 0x16;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const VISIBLE_STRING: u8 = 0x1a;
    pub(super) const BMP_STRING: u8 = 0x1e;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
}

/// The content of object identifiers.
pub(super) mod oid {
    pub(in super::super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    pub(in super::super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(in super::super) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub(in super::super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    pub(in super::super) const ANY_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37, 0];
    pub(in super::super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    pub(in super::super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
}

/// One value of DER.
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// The content with its head.
    whole: &'a [u8],
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value. `None` at the end, and if the bytes are not DER: an indefinite length, one with more bytes than it
    /// takes, one that leads beyond the end, a tag of several bytes.
    fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0_u64, |length, &digit| (length << 8) | u64::from(digit));
                if length < 0x80 || digits[0] == 0 {
                    return None;
                }
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Element { tag, content, whole })
    }

    /// The next value, if it has this tag; otherwise it stays.
    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = *self;
        let element = ahead.next().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element)
    }

    fn is_at_end(self) -> bool {
        self.0.is_empty()
    }
}

/// A certificate, unverified. See the [module](self).
#[derive(Clone, Copy)]
pub(super) struct Certificate<'a> {
    /// 1 to 3.
    pub(super) version: u8,
    /// What the signature is of.
    pub(super) signed: &'a [u8],
    /// How it is signed: the content of an `AlgorithmIdentifier`.
    pub(super) algorithm: &'a [u8],
    /// The signature's bytes.
    pub(super) signature: &'a [u8],
    /// The content of a `Name`.
    pub(super) issuer: &'a [u8],
    /// The content of a `Name`.
    pub(super) subject: &'a [u8],
    /// A whole `SubjectPublicKeyInfo`.
    pub(super) public_key: &'a [u8],
    validity: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads `der`; `None` if it is not a certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(der);
        let mut certificate = Der(outer.expect(tag::SEQUENCE)?.content);
        let signed = certificate.expect(tag::SEQUENCE)?;
        let algorithm = certificate.expect(tag::SEQUENCE)?.content;
        let (&unused_bits, signature) = certificate.expect(tag::BIT_STRING)?.content.split_first()?;
        if !outer.is_at_end() || !certificate.is_at_end() || unused_bits != 0 {
            return None;
        }
        let mut fields = Der(signed.content);
        let version = match fields.expect(tag::VERSION) {
            None => 1,
            Some(version) => match Der(version.content).expect(tag::INTEGER)?.content {
                [version @ 0..=2] => version + 1,
                _ => return None,
            },
        };
        fields.expect(tag::INTEGER)?;
        let inner_algorithm = fields.expect(tag::SEQUENCE)?.content;
        let issuer = fields.expect(tag::SEQUENCE)?.content;
        let validity = fields.expect(tag::SEQUENCE)?.content;
        let subject = fields.expect(tag::SEQUENCE)?.content;
        let public_key = fields.expect(tag::SEQUENCE)?.whole;
        let mut extensions: &[u8] = &[];
        while let Some(field) = fields.next() {
            if field.tag == tag::EXTENSIONS {
                extensions = Der(field.content).expect(tag::SEQUENCE)?.content;
            }
        }
        // The two are the same in any certificate; only one of them is signed.
        if !fields.is_at_end() || inner_algorithm != algorithm {
            return None;
        }
        Some(Self {
            version,
            signed: signed.whole,
            algorithm,
            signature,
            issuer,
            subject,
            public_key,
            validity,
            extensions,
        })
    }

    /// The common name of the subject: the last one, if it has several, as Go reads it. `None` if there is none, or in a kind
    /// of string that Go does not read either.
    pub(super) fn common_name(&self) -> Option<String> {
        let mut found = None;
        let mut sets = Der(self.subject);
        while let Some(set) = sets.expect(tag::SET) {
            let mut attributes = Der(set.content);
            while let Some(attribute) = attributes.expect(tag::SEQUENCE) {
                let mut attribute = Der(attribute.content);
                if attribute.expect(tag::OID).is_some_and(|kind| kind.content == oid::COMMON_NAME) {
                    found = attribute.next().and_then(text);
                }
            }
        }
        found
    }

    /// Whether `now` is in the period of the certificate.
    pub(super) fn check_time(&self, now: UnixTime) -> Result<(), CertificateError> {
        let mut times = Der(self.validity);
        let mut time = || times.next().and_then(seconds).ok_or(CertificateError::BadEncoding);
        let (not_before, not_after) = (time()?, time()?);
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match now {
            _ if now < not_before => Err(CertificateError::NotValidYet),
            _ if now > not_after => Err(CertificateError::Expired),
            _ => Ok(()),
        }
    }

    /// The content of the extension with this number.
    pub(super) fn extension(&self, number: &[u8]) -> Option<&'a [u8]> {
        let mut extensions = Der(self.extensions);
        while let Some(extension) = extensions.expect(tag::SEQUENCE) {
            let mut fields = Der(extension.content);
            if fields.expect(tag::OID)?.content == number {
                // Whether it is critical.
                fields.expect(tag::BOOLEAN);
                return Some(fields.expect(tag::OCTET_STRING)?.content);
            }
        }
        None
    }

    /// Whether it may sign others: it says so, or is of a version that cannot say.
    pub(super) fn is_authority(&self) -> bool {
        let says_so = |constraints| {
            let constraints = Der(constraints).expect(tag::SEQUENCE)?.content;
            Some(Der(constraints).expect(tag::BOOLEAN)?.content == [0xff])
        };
        self.version < 3 || self.extension(oid::BASIC_CONSTRAINTS).and_then(says_so).unwrap_or(false)
    }

    /// Whether it may be used so: it does not say for what it is, or this is among the uses that it names.
    pub(super) fn may_be_used_for(&self, usage: &[u8]) -> bool {
        let Some(usages) = self.extension(oid::EXTENDED_KEY_USAGE) else { return true };
        let Some(usages) = Der(usages).expect(tag::SEQUENCE) else { return false };
        let mut usages = Der(usages.content);
        std::iter::from_fn(|| usages.expect(tag::OID))
            .any(|found| found.content == usage || found.content == oid::ANY_EXTENDED_KEY_USAGE)
    }
}

/// A string of a name.
fn text(Element { tag, content, .. }: Element<'_>) -> Option<String> {
    let utf8 = || std::str::from_utf8(content).ok().map(str::to_owned);
    match tag {
        tag::UTF8_STRING => utf8(),
        tag::PRINTABLE_STRING | tag::IA5_STRING | tag::NUMERIC_STRING | tag::VISIBLE_STRING => {
            utf8().filter(|text| text.is_ascii())
        }
        // Nobody writes T.61: what is called so is Latin-1.
        tag::T61_STRING => Some(content.iter().copied().map(char::from).collect()),
        tag::BMP_STRING => {
            let (units, rest) = content.as_chunks::<2>();
            let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// A time in seconds since the Unix epoch. Two-digit years are from 1950 to 2049 (RFC 5280, 4.1.2.5.1).
fn seconds(Element { tag, content, .. }: Element<'_>) -> Option<i64> {
    let digits = content.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        (tag::UTC_TIME, 12) => {
            let year = number(&digits[..2]);
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (tag::GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days since the Unix epoch, in the Gregorian calendar. The year begins with March, so that a leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days from 0000-03-01 to 1970-01-01.
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
#[path = "x509_tests.rs"]
mod tests;
