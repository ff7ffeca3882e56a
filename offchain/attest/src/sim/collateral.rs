//! What the simulated vendor publishes about its machines.

use std::collections::BTreeSet;

use cocoon_protocol::UnixSeconds;
use dcap_qvl::QuoteCollateralV3;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::quote::{QE_ATTRIBUTES, QE_PRODUCT, QE_SVN, qe_signer};
use super::{Publication, SIM_FMSPC, SimError, SimTcb, Simulator};
use crate::collateral::Collateral;

/// A date in the past that TCB levels carry.
const TCB_DATE: &str = "2024-01-01T00:00:00Z";

pub fn publish(vendor: &Simulator, publication: &Publication, revoked: &BTreeSet<u32>) -> Result<Collateral, SimError> {
    let issued = publication.issued;
    let until = issued.plus(publication.lifetime);
    let (issue_date, next_update) = (rfc3339(issued)?, rfc3339(until)?);

    let components = |svn: u8| vec![json!({ "svn": svn }); 16];
    // With `tee_tcb_svn[1]` at zero, as simulated quotes have it, the module is judged by the first component here.
    let module = |svn: u8| (0..16).map(|i| json!({ "svn": if i == 1 { 0 } else { svn } })).collect::<Vec<Value>>();
    let level = |tcb: SimTcb, status: &str, advisories: &[&str]| {
        let svn = tcb.svn();
        json!({
            "tcb": { "sgxtcbcomponents": components(svn), "pcesvn": svn, "tdxtcbcomponents": module(svn) },
            "tcbDate": TCB_DATE,
            "tcbStatus": status,
            "advisoryIDs": advisories,
        })
    };
    let any_module = json!({
        "mrsigner": "00".repeat(48),
        "attributes": "00".repeat(8),
        "attributesMask": "FF".repeat(8),
    });
    let tcb_info = json!({
        "id": "TDX",
        "version": 3,
        "issueDate": issue_date,
        "nextUpdate": next_update,
        "fmspc": SIM_FMSPC.to_string(),
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": publication.tcb_evaluation,
        "tdxModule": any_module,
        "tdxModuleIdentities": [],
        "tcbLevels": [
            level(SimTcb::Current, "UpToDate", &[]),
            level(SimTcb::Outdated, "OutOfDate", &["COCOON-SIM-0001"]),
            level(SimTcb::Revoked, "Revoked", &["COCOON-SIM-0002"]),
        ],
    })
    .to_string();
    let qe_identity = json!({
        "id": "TD_QE",
        "version": 2,
        "issueDate": issue_date,
        "nextUpdate": next_update,
        "tcbEvaluationDataNumber": publication.tcb_evaluation,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": hex::encode_upper(QE_ATTRIBUTES),
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": hex::encode_upper(qe_signer(false)),
        "isvprodid": QE_PRODUCT,
        "tcbLevels": [{ "tcb": { "isvsvn": QE_SVN }, "tcbDate": TCB_DATE, "tcbStatus": "UpToDate" }],
    })
    .to_string();

    let signer = vendor.tcb_signer.key();
    let signer_chain = [vendor.tcb_signer.pem(), vendor.root.pem()].concat();
    Collateral::new(QuoteCollateralV3 {
        pck_crl_issuer_chain: [vendor.platform_ca.pem(), vendor.root.pem()].concat(),
        root_ca_crl: vendor.root.revocations(&BTreeSet::new(), issued, until)?,
        pck_crl: vendor.platform_ca.revocations(revoked, issued, until)?,
        tcb_info_issuer_chain: signer_chain.clone(),
        tcb_info_signature: signer.sign_raw(tcb_info.as_bytes()).to_vec(),
        tcb_info,
        qe_identity_issuer_chain: signer_chain,
        qe_identity_signature: signer.sign_raw(qe_identity.as_bytes()).to_vec(),
        qe_identity,
        // The machine's certificate is in its quotes.
        pck_certificate_chain: None,
    })
    .map_err(SimError::of("collateral"))
}

fn rfc3339(t: UnixSeconds) -> Result<String, SimError> {
    let t = OffsetDateTime::from_unix_timestamp(t.0.into()).map_err(SimError::of("date"))?;
    let (date, time) = (t.date(), t.time());
    Ok(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    ))
}
