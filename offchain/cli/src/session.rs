//! What a command runs in: the network, and somebody to ask.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use cocoon_actions::System;
use cocoon_chain::{Chain, StdAddr, Wallet};
use cocoon_protocol::Nano;

use crate::exit::{Declined, Usage};
use crate::network::{Control, NetworkFile, connect};

/// What every command about a network takes.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Common {
    /// The network: a file such as `cocoon up` writes, with its liteservers and its registry.
    #[arg(long, value_name = "FILE", env = "COCOON_NETWORK", global = true)]
    pub network: Option<PathBuf>,
    /// Print one JSON object on standard output; amounts in nanoton as texts, and in TON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Who answers when money is to move.
enum Prompt {
    /// Whoever sits at the terminal, if there is one.
    Terminal,
    /// Always the same answer; none says that nobody is there.
    Fixed(Option<bool>),
}

/// What a command runs in.
pub struct Session {
    given: Option<System>,
    control: Option<Control>,
    file: Option<PathBuf>,
    prompt: Prompt,
    /// What was asked, for tests.
    asked: Vec<String>,
}

impl Session {
    /// Of a process: the network comes from its file, answers from the terminal.
    pub const fn terminal() -> Self {
        Self { given: None, control: None, file: None, prompt: Prompt::Terminal, asked: vec![] }
    }

    /// On a network that is at hand, with somebody who always gives this answer, or nobody.
    pub fn on(chain: Arc<dyn Chain>, registry: StdAddr, answer: Option<bool>) -> Self {
        let given = Some(System::new(chain, registry));
        Self { given, prompt: Prompt::Fixed(answer), ..Self::terminal() }
    }

    /// The same, with a control endpoint.
    #[must_use]
    pub fn with_control(self, control: Control) -> Self {
        Self { control: Some(control), ..self }
    }

    /// What people were asked so far, when the answer is fixed.
    pub fn asked(&self) -> &[String] {
        &self.asked
    }

    pub(crate) fn use_network(&mut self, file: Option<PathBuf>) {
        self.file = file;
    }

    /// Whether a network was named at all.
    pub fn has_network(&self) -> bool {
        self.given.is_some() || self.file.is_some()
    }

    /// The network's file, for what needs no connection.
    pub fn network_file(&self) -> Result<NetworkFile> {
        let file = self.file.as_ref().ok_or_else(|| {
            Usage("which network? name its file with --network FILE, or in the variable COCOON_NETWORK".to_owned())
        })?;
        NetworkFile::read(file)
    }

    /// The network's contracts.
    pub async fn system(&mut self) -> Result<System> {
        if let Some(system) = &self.given {
            return Ok(system.clone());
        }
        let file = self.network_file()?;
        let registry = file.registry()?.clone();
        let system = System::new(connect(&file).await?, registry);
        self.given = Some(system.clone());
        Ok(system)
    }

    /// The network, for commands that need none of its contracts: a chain alone will do.
    pub async fn chain(&mut self) -> Result<System> {
        if self.given.is_some() || self.network_file()?.registry.is_some() {
            return self.system().await;
        }
        Ok(System::new(connect(&self.network_file()?).await?, StdAddr::ZERO))
    }

    /// How to steer the network.
    pub fn control(&self) -> Result<Control> {
        if let Some(control) = &self.control {
            return Ok(control.clone());
        }
        self.network_file()?.control.ok_or_else(|| {
            Usage(
                "this network cannot be steered: its file names no \"control\", which only `cocoon up` serves"
                    .to_owned(),
            )
            .into()
        })
    }

    /// Asks before money moves.
    pub fn confirm(&mut self, wallet: &Wallet, question: &str, total: Nano) -> Result<()> {
        let yes = match &self.prompt {
            Prompt::Fixed(answer) => {
                self.asked.push(question.to_owned());
                answer.ok_or(Declined::NobodyToAsk { total })?
            }
            Prompt::Terminal => {
                if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
                    return Err(Declined::NobodyToAsk { total }.into());
                }
                let mut err = std::io::stderr().lock();
                write!(err, "{question}\nfrom wallet {}. Go on? [y/N] ", wallet.address())?;
                err.flush()?;
                let mut answer = String::new();
                std::io::stdin().lock().read_line(&mut answer)?;
                matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
            }
        };
        if yes { Ok(()) } else { Err(Declined::No.into()) }
    }
}
