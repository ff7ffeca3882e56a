//! `cocoon image`: what a guest image measures to, predicted and as it happened.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cocoon_image::log::Event;
use cocoon_image::measure::{self, Acpi, Firmware, PageOrder};
use cocoon_image::replay::Expected;
use cocoon_image::{Digest384, EventLog, Register, first_misfit, replay};

use crate::exit;
use crate::report::Report;
use crate::session::Common;

/// Largest file that is read: an initrd may hold a whole system.
const MAX_FILE: u64 = 4 << 30;

/// Arguments of `cocoon image`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Predict the measurements of a guest that QEMU boots directly on Intel TDX.
    Measure(Files),
    /// Replay the event log of a boot to its registers; with the image's files, name the first event that does not fit.
    Replay {
        /// The log, as in /sys/firmware/acpi/tables/data/CCEL.
        log: PathBuf,
        /// It is a TPM's log, as in /sys/kernel/security/tpm0/binary_bios_measurements: say what TDX's registers would hold. Two
        /// events of RTMR0 exist on TDX only, so RTMR0 is compared without them and is not shown.
        #[arg(long)]
        tpm: bool,
        /// List the events, each with its register, type and digest: those of type EV_EFI_VARIABLE_BOOT in RTMR0 are what
        /// --boot-option takes.
        #[arg(long)]
        events: bool,
        #[command(flatten)]
        files: Files,
    },
}

/// The files of an image. Registers for which files are absent are left out.
#[derive(clap::Args)]
struct Files {
    /// OVMF built for Intel TDX, code and variables in one file: MRTD, RTMR0.
    #[arg(long, visible_alias = "ovmf", value_name = "FILE")]
    firmware: Option<PathBuf>,
    /// The kernel, as QEMU gets it: RTMR1.
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// The initrd: RTMR2, together with the command line.
    #[arg(long, value_name = "FILE", requires = "cmdline")]
    initrd: Option<PathBuf>,
    /// The kernel's command line, with what QEMU appends to it.
    #[arg(long, value_name = "TEXT", requires = "initrd")]
    cmdline: Option<String>,
    /// Memory of the machine in MiB: RTMR0.
    #[arg(long, value_name = "MIB", requires_all = ["firmware", "acpi"])]
    memory: Option<u32>,
    /// Directory with what QEMU tells the firmware: `table-loader`, `rsdp`, `tables`, and `tpm-log` where there is a TPM.
    #[arg(long, value_name = "DIR")]
    acpi: Option<PathBuf>,
    /// Digest of each boot option that the firmware measures into RTMR0, in order, from a reference boot.
    #[arg(long, value_name = "SHA384", value_parser = digest)]
    boot_option: Vec<Digest384>,
    /// The host adds all pages of a section before it measures them (kernels before Linux 6.16).
    #[arg(long)]
    section_by_section: bool,
}

fn digest(text: &str) -> Result<Digest384, String> {
    let mut bytes = [0; 48];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| "a SHA-384 digest has 96 hexadecimal digits".to_owned())?;
    Ok(Digest384(bytes))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let what = || format!("reading {}", path.display());
    let mut data = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut data)).with_context(what)?;
    ensure!(data.len() as u64 <= MAX_FILE, "{} has more than {MAX_FILE} bytes", path.display());
    Ok(data)
}

fn acpi(dir: &Path) -> Result<Acpi> {
    let part = |name| read(&dir.join(name));
    let tpm_log = dir.join("tpm-log").exists().then(|| part("tpm-log")).transpose()?;
    Ok(Acpi { loader: part("table-loader")?, rsdp: part("rsdp")?, tpm_log, tables: part("tables")? })
}

impl Files {
    /// MRTD, where the firmware is known, and the expected events of each register whose files are.
    fn predict(&self, tpm: bool) -> Result<(Option<Digest384>, BTreeMap<Register, Vec<Expected>>)> {
        let mut mrtd = None;
        let mut expected = BTreeMap::new();
        let acpi = self.acpi.as_deref().map(acpi).transpose()?;
        if let (Some(acpi), true) = (&acpi, tpm) {
            expected.insert(Register::Rtmr0, measure::rtmr0_without_tdx(acpi, &self.boot_option));
        }
        ensure!(
            acpi.is_none() || tpm || self.memory.is_some(),
            "--acpi goes with --firmware and --memory: all make RTMR0"
        );
        if let Some(path) = &self.firmware {
            let file = read(path)?;
            let firmware = Firmware::parse(&file).with_context(|| path.display().to_string())?;
            let order = if self.section_by_section { PageOrder::SectionBySection } else { PageOrder::PageByPage };
            mrtd = Some(firmware.mrtd(order));
            if let (Some(memory), Some(acpi), false) = (self.memory, &acpi, tpm) {
                let events = measure::rtmr0(&firmware, u64::from(memory) << 20, acpi, &self.boot_option)?;
                expected.insert(Register::Rtmr0, events);
            }
        }
        if let Some(path) = &self.kernel {
            let events = measure::rtmr1(&read(path)?).with_context(|| path.display().to_string())?;
            expected.insert(Register::Rtmr1, events);
        }
        if let (Some(initrd), Some(line)) = (&self.initrd, &self.cmdline) {
            expected.insert(Register::Rtmr2, measure::rtmr2(line, &read(initrd)?));
        }
        Ok((mrtd, expected))
    }
}

fn name(register: Register) -> String {
    register.to_string().to_lowercase()
}

fn line(event: &Event) -> Report {
    Report::new().text("register", event.register).text("kind", event.kind_name()).text("digest", event.digest)
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    match &args.command {
        Command::Measure(files) => {
            let (mrtd, expected) = files.predict(false)?;
            ensure!(
                mrtd.is_some() || !expected.is_empty(),
                "nothing to measure: give --firmware, --kernel, or --initrd with --cmdline"
            );
            let report = Report::new().maybe("mrtd", mrtd);
            let registers = expected.iter().map(|(register, events)| (name(*register), measure::register(events)));
            Ok(registers.fold(report, |report, (name, value)| report.text(name, value)))
        }
        Command::Replay { log, tpm, events: list, files } => {
            let (_, expected) = files.predict(*tpm)?;
            let parse = if *tpm { EventLog::parse_tpm } else { EventLog::parse };
            let events = parse(&read(log)?).with_context(|| log.display().to_string())?;
            let mut report = Report::new().number("events", events.events.len() as u64);
            for (register, value) in replay(&events) {
                if !(*tpm && register == Register::Rtmr0) {
                    report = report.text(name(register), value);
                }
            }
            if *list {
                report = report.list("log", events.events.iter().map(line).collect());
            }
            if expected.is_empty() {
                return Ok(report);
            }
            let misfit = first_misfit(&events, &expected);
            let code = if misfit.is_some() { exit::FAILED } else { 0 };
            let compared = expected.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            Ok(report.text("compared", compared).maybe("misfit", misfit).exiting(code))
        }
    }
}
