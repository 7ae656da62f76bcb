//! `espalier completions`

use std::process::Command;

use crate::{espalier, stdout_of};

#[test]
fn every_shell_is_told_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout_of(espalier().args(["completions", shell]));
        for word in ["inspect", "diff", "check", "headers", "orthogonal"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

/// What bash makes of it, where there is one.
#[cfg(unix)]
#[test]
fn bash_completes_a_command() {
    let script = stdout_of(espalier().args(["completions", "bash"]));
    let ask = "COMP_WORDS=(espalier ins); COMP_CWORD=1; _espalier espalier ins espalier; echo \"${COMPREPLY[@]}\"";
    match Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "inspect\n"),
        Err(error) => eprintln!("skipped, there is no bash: {error}"),
    }
}
