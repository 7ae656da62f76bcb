//! `[[constrain]]` on the network.

use espalier::constrain::{
    Constraints, MaxNorm, MinMaxNorm, NonNeg, OrthogonalProjection, UnitNorm,
};
use espalier::nn::Graph;
use espalier::{Error, Parametrized, Selector};

use super::faults::Faults;
use super::initialize::listed;
use super::names::{Names, any};
use crate::spec::{ConstraintSpec, Recipe};

/// The recipe's constraints, which the network obeys from now on. What a constraint refuses is a fault.
///
/// # Errors
///
/// What else the library refuses.
pub(crate) fn constrain(
    net: Parametrized<Graph>,
    names: &Names,
    recipe: &Recipe,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<(Parametrized<Graph>, Constraints), Error> {
    let mut net = net;
    let mut all = Constraints::new();
    for (index, spec) in recipe.constrain.iter().enumerate() {
        let key = format!("constrain[{index}]");
        let Some(chosen) = names.select(&spec.value.select, &format!("{key}.select"), faults)
        else {
            continue;
        };
        let constraint = &spec.value.constraint;
        let mut refuse = |message: String| {
            faults.add(&constraint.span, format!("{key}.rule"), message, "", "");
        };
        // Alone first, so that what it refuses is told of it.
        let tried = with(Constraints::new(), any(&chosen), &constraint.value)
            .and_then(|own| own.apply(net.clone()));
        match tried {
            Ok(changed) => {
                net = changed;
                all = with(all, any(&chosen), &constraint.value)?;
                log.push(format!("constrain: {} to {}", listed(&chosen), words(&constraint.value)));
            }
            Err(error @ Error::Constraint { .. }) => refuse(error.to_string()),
            Err(Error::Rule { path, source, .. }) => {
                refuse(format!("does not fit `{}`: {source}", names.name_of(&path)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((net, all))
}

fn with(
    all: Constraints,
    select: Selector,
    constraint: &ConstraintSpec,
) -> Result<Constraints, Error> {
    match *constraint {
        ConstraintSpec::MaxNorm { max, dim } => {
            let rule = MaxNorm::new(max);
            all.with(select, dim.map_or(rule, |dim| rule.dim(dim)))
        }
        ConstraintSpec::MinMaxNorm { min, max, rate, dim } => {
            let rule = MinMaxNorm::new(min, max).rate(rate);
            all.with(select, dim.map_or(rule, |dim| rule.dim(dim)))
        }
        ConstraintSpec::UnitNorm { dim } => {
            let rule = UnitNorm::new();
            all.with(select, dim.map_or(rule, |dim| rule.dim(dim)))
        }
        ConstraintSpec::NonNeg => all.with(select, NonNeg::new()),
        ConstraintSpec::Orthogonal => all.with(select, OrthogonalProjection::new()),
    }
}

fn words(constraint: &ConstraintSpec) -> String {
    match constraint {
        ConstraintSpec::MaxNorm { max, .. } => format!("norms of at most {max}"),
        ConstraintSpec::MinMaxNorm { min, max, .. } => format!("norms from {min} to {max}"),
        ConstraintSpec::UnitNorm { .. } => "norms of 1".to_owned(),
        ConstraintSpec::NonNeg => "values of at least 0".to_owned(),
        ConstraintSpec::Orthogonal => "orthogonal matrices".to_owned(),
    }
}
