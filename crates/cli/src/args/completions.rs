//! Arguments of `espalier completions`.

use clap_complete::Shell;

/// Print a script that completes command lines in a shell
///
/// Where a shell looks for such scripts its manual says; for bash it is ~/.local/share/bash-completion/completions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier completions bash > ~/.local/share/bash-completion/completions/espalier
  espalier completions zsh > ~/.zfunc/_espalier
  espalier completions fish > ~/.config/fish/completions/espalier.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
