//! Chains whose rules the library has described in the file.

use std::sync::Arc;

use espalier_kernels::OrthogonalMap;
use serde_json::Value;

use super::error::FoldError;
use super::frames::Frame;
use super::node::{Map, Node, Op};
use super::plan::{Plan, Story};
use super::rules::{self, Place};
use super::spectrum::{Spectrum, Values};
use crate::error::FilesError;

/// The value of a chain from its originals.
pub(super) fn chain(
    plan: &Plan<'_>,
    target: &str,
    (list, names): (&str, &[String]),
    originals: Vec<Node>,
    frame: &Frame,
    story: &mut Story,
) -> Result<Node, FilesError> {
    let mut originals = originals.into_iter();
    let (first, second) = (originals.next(), originals.next());
    let mut links = frame.links.iter().enumerate();
    let place = Place { name: target, part: names.first().map_or(target, String::as_str) };
    let mut node = match (first, second, originals.next()) {
        (Some(only), None, _) => only,
        (Some(g), Some(v), None) if frame.links[0].0 == "weight_norm" => {
            links.next();
            story.kinds.push("weight_norm".to_owned());
            rules::weight_norm(place, g, v)?
        }
        _ => {
            let cause = "its rules do not fit the number of its originals".to_owned();
            return Err(FoldError::Description { name: target.to_owned(), cause }.into());
        }
    };
    for (index, (rule, options)) in links {
        let at = |part: &str| format!("{list}.{index}.{part}");
        node = link(plan, target, (rule, options), node, &at, story)?;
    }
    Ok(node)
}

/// A value after one more link, whose parts `at` names.
fn link(
    plan: &Plan<'_>,
    target: &str,
    (rule, options): (&str, &Value),
    node: Node,
    at: &dyn Fn(&str) -> String,
    story: &mut Story,
) -> Result<Node, FilesError> {
    let unsound = |option: &str| FoldError::Description {
        name: target.to_owned(),
        cause: format!("`{option}` of {rule} is {}", options[option]),
    };
    let number = |option: &str| options[option].as_f64().ok_or_else(|| unsound(option));
    let dim = |option: &str| match &options[option] {
        Value::Null => Ok(None),
        value => {
            let dim = value.as_u64().and_then(|dim| usize::try_from(dim).ok());
            dim.filter(|dim| *dim < node.shape.len()).map(Some).ok_or_else(|| unsound(option))
        }
    };
    let original = at("original");
    let place = Place { name: target, part: &original };
    let of = Arc::new(node.clone());
    let op = match rule {
        "spectral_norm" if node.shape.len() > 1 => {
            let dim = Some(dim("dim")?.unwrap_or(0));
            return plan.spectral(target, node, [&at("_u"), &at("_v")], dim, story);
        }
        "spectral_norm" => {
            let slices = rules::whole(&node.shape);
            Op::Sphere { of, slices, radius: 1.0, least: number("eps")? }
        }
        "lora" => {
            let rank = number("rank")?;
            let scale = match &options["alpha"] {
                Value::Null => 1.0,
                _ => number("alpha")? / rank,
            };
            return plan.linked(target, node, [&at("lora_A"), &at("lora_B")], Some(scale), story);
        }
        "orthogonal" => {
            let frame = rules::tall(place, &node.shape)?;
            let map = match options["map"].as_str() {
                Some("exp") => OrthogonalMap::Exp,
                Some("cayley") => OrthogonalMap::Cayley,
                Some("householder") => OrthogonalMap::Householder,
                None if frame.rows == frame.columns => OrthogonalMap::Exp,
                None => OrthogonalMap::Householder,
                Some(_) => return Err(unsound("map").into()),
            };
            let is_based = options["trivialization"].as_bool().unwrap_or(true);
            let base = at("base");
            let base = is_based.then(|| plan.take(target, &base, story)).transpose()?;
            story.kinds.push(rule.to_owned());
            return Ok(rules::orthogonal(place, node, base, map, false)?);
        }
        "symmetric" | "skew" => {
            let frame = rules::tall(place, &node.shape)?;
            if frame.rows != frame.columns {
                return Err(place.shape("square matrices", &node.shape).into());
            }
            Op::Mirror { of, n: frame.rows, is_skew: rule == "skew" }
        }
        "sphere" => {
            let dim = dim("dim")?;
            let slices =
                dim.map_or_else(|| rules::whole(&node.shape), |dim| rules::along(&node.shape, dim));
            Op::Sphere { of, slices, radius: number("radius")?, least: 0.0 }
        }
        "non_negative" => match options["map"].as_str() {
            Some("softplus") => Op::Map { of, map: Map::Softplus },
            Some("square") => Op::Map { of, map: Map::Square },
            _ => return Err(unsound("map").into()),
        },
        "scale" if options["learned"].as_bool() == Some(true) => {
            let factor = plan.take(target, &at("scale"), story)?.clone();
            if factor.numel() != 1 {
                return Err(place.shape("one factor", factor.shape()).into());
            }
            Op::Learned { of, factor }
        }
        "scale" => Op::Map { of, map: Map::Scale(number("factor")?) },
        "sigmoid_mask" => {
            let scores = plan.take(target, &at("scores"), story)?.clone();
            if scores.shape() != node.shape {
                return Err(place
                    .shape(format!("scores of {:?}", node.shape), scores.shape())
                    .into());
            }
            Op::Gates { of, scores, temperature: number("temperature")? }
        }
        "low_rank" | "fixed_rank" | "positive_definite" | "positive_semidefinite" => {
            let frame = rules::tall(place, &node.shape)?;
            let is_eigen = rule.starts_with("positive");
            if is_eigen && frame.rows != frame.columns {
                return Err(place.shape("square matrices", &node.shape).into());
            }
            let rank = match rule {
                "positive_definite" => Some(frame.rows),
                _ => options["rank"].as_u64().and_then(|rank| usize::try_from(rank).ok()),
            };
            let rank = rank.filter(|rank| (1..=frame.columns).contains(rank));
            let spectrum = Spectrum {
                rank: rank.ok_or_else(|| unsound("rank"))?,
                map: match options["map"].as_str() {
                    Some("exp") | None => OrthogonalMap::Exp,
                    Some("cayley") => OrthogonalMap::Cayley,
                    Some(_) => return Err(unsound("map").into()),
                },
                values: match rule {
                    "low_rank" => Values::Free,
                    "positive_semidefinite" => Values::Magnitude,
                    _ => Values::Positive,
                },
                frame,
            };
            let names = if is_eigen {
                vec![("base", frame.rows)]
            } else {
                vec![("u_base", frame.rows), ("v_base", frame.columns)]
            };
            let mut bases = Vec::new();
            for (name, side) in names {
                let part = at(name);
                let base = plan.take(target, &part, story)?;
                let lead = &node.shape[..node.shape.len() - 2];
                let expected = [lead, &[side, side]].concat();
                if base.shape() != expected {
                    let place = Place { part: &part, ..place };
                    return Err(place.shape(format!("{expected:?}"), base.shape()).into());
                }
                bases.push(base.clone());
            }
            Op::Spectrum { of, bases, spectrum }
        }
        _ => {
            let (name, rule) = (target.to_owned(), rule.to_owned());
            return Err(FoldError::Rule { name, rule }.into());
        }
    };
    story.kinds.push(rule.to_owned());
    Ok(node.then(|_| op))
}
