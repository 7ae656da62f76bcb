//! `[[parametrize]]` and `[[tie]]` on the network.

use espalier::nn::Graph;
use espalier::parametrize::Rules;
use espalier::{Error, Parametrized};

use super::faults::Faults;
use super::initialize::listed;
use super::names::{Names, any};
use crate::spec::{Recipe, Rule};

/// Registers the recipe's rules, and gives the learned masks among them. What a rule refuses is a fault.
///
/// # Errors
///
/// What else the library refuses.
pub(crate) fn parametrize(
    net: &mut Parametrized<Graph>,
    names: &Names,
    recipe: &Recipe,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<Vec<LearnedMask>, Error> {
    let mut masks = Vec::new();
    for (index, spec) in recipe.parametrize.iter().enumerate() {
        let key = format!("parametrize[{index}]");
        let Some(chosen) = names.select(&spec.value.select, &format!("{key}.select"), faults)
        else {
            continue;
        };
        let span = &spec.value.rule.span;
        let Rule { name, options, penalty, harden } = &spec.value.rule.value;
        let rule = match Rules::builtin().make(name, options) {
            Ok(rule) => rule,
            Err(error) => {
                faults.add(span, format!("{key}.rule"), error.to_string(), "", "");
                continue;
            }
        };
        match net.register(any(&chosen), rule) {
            Ok(paths) => {
                log.push(format!("parametrize: {} by {name}", listed(&chosen)));
                if name == "sigmoid_mask" {
                    let mask = |path| LearnedMask { path, penalty: *penalty, harden: *harden };
                    masks.extend(paths.into_iter().map(mask));
                }
            }
            Err(Error::Rule { path, source, .. }) => {
                let message = format!("does not fit `{}`: {source}", names.name_of(&path));
                faults.add(span, format!("{key}.rule"), message, "", "");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(masks)
}

/// A mask that is learned, and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct LearnedMask {
    pub(crate) path: String,
    /// How much its penalty counts in the loss.
    pub(crate) penalty: f64,
    /// The epoch at whose start it becomes exact; after the last one if there is none.
    pub(crate) harden: Option<usize>,
}

/// Makes the recipe's ties. What cannot be tied is a fault.
///
/// # Errors
///
/// What else the library refuses.
pub(crate) fn tie(
    net: &mut Parametrized<Graph>,
    names: &Names,
    recipe: &Recipe,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<(), Error> {
    for (index, spec) in recipe.tie.iter().enumerate() {
        let target = names.find(&spec.value.target, &format!("tie[{index}].target"), faults);
        let source = names.find(&spec.value.source, &format!("tie[{index}].source"), faults);
        let (Some(target), Some(source)) = (target, source) else {
            continue;
        };
        let tied = match spec.value.transposed {
            true => net.tie_transposed(&target.path, &source.path),
            false => net.tie(&target.path, &source.path),
        };
        match tied {
            Ok(()) => {
                let turned = if spec.value.transposed { " transposed" } else { "" };
                log.push(format!("tie: {} is {}{turned}", target.name(), source.name()));
            }
            Err(Error::Tie { reason, .. }) => {
                let message =
                    format!("`{}` cannot be tied to `{}`: {reason}", target.name(), source.name());
                faults.add(&spec.span, format!("tie[{index}]"), message, "", "");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
