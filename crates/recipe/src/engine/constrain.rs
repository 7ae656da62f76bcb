//! `[[parametrize]]` and `[[tie]]` on the network.

use espalier::nn::Sequential;
use espalier::parametrize::Rules;
use espalier::{Error, Parametrized};

use super::faults::Faults;
use super::initialize::listed;
use super::names::{Names, any};
use crate::spec::{Recipe, Rule};

/// Registers the recipe's rules. What a rule refuses is a fault.
///
/// # Errors
///
/// What else the library refuses.
pub(crate) fn parametrize(
    net: &mut Parametrized<Sequential>,
    names: &Names,
    recipe: &Recipe,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<(), Error> {
    for (index, spec) in recipe.parametrize.iter().enumerate() {
        let key = format!("parametrize[{index}]");
        let Some(chosen) = names.select(&spec.value.select, &format!("{key}.select"), faults)
        else {
            continue;
        };
        let span = &spec.value.rule.span;
        let Rule { name, options } = &spec.value.rule.value;
        let rule = match Rules::builtin().make(name, options) {
            Ok(rule) => rule,
            Err(error) => {
                faults.add(span, format!("{key}.rule"), error.to_string(), "", "");
                continue;
            }
        };
        match net.register(any(&chosen), rule) {
            Ok(_) => log.push(format!("parametrize: {} by {name}", listed(&chosen))),
            Err(Error::Rule { path, source, .. }) => {
                let message = format!("does not fit `{}`: {source}", names.name_of(&path));
                faults.add(span, format!("{key}.rule"), message, "", "");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the recipe's ties. What cannot be tied is a fault.
///
/// # Errors
///
/// What else the library refuses.
pub(crate) fn tie(
    net: &mut Parametrized<Sequential>,
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
        match net.tie(&target.path, &source.path) {
            Ok(()) => log.push(format!("tie: {} is {}", target.name(), source.name())),
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
