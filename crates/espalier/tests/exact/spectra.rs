//! Rules on eigenvalues and singular values against geotorch's.

use burn::nn::Linear;
use burn::tensor::Tensor;
use espalier::parametrize::{
    FixedRank, LowRank, OrthogonalMap, PositiveDefinite, PositiveSemidefinite, Rule,
};

use crate::common::{Case, Golden, Holder, Host, Tolerance, assert_close, stored, values};
use crate::life::{Life, buffer};

const DEFINITE: [&str; 3] = ["linear_3x3", "linear_5x5", "linear_4x4_cayley"];
const DEFINITE_BATCH: &str = "batch_2x4x4";
const SEMIDEFINITE: [&str; 4] =
    ["linear_4x4_rank1", "linear_5x5_rank2", "linear_3x3_rank3", "linear_5x5_rank2_cayley"];
const SEMIDEFINITE_BATCH: &str = "batch_2x4x4_rank3";
const RANKS: [&str; 5] = [
    "linear_4x4_rank1",
    "linear_6x4_rank2",
    "linear_4x6_rank3",
    "linear_3x5_rank3",
    "linear_4x5_rank2_cayley",
];
const RANKS_BATCH: &str = "batch_2x5x3_rank2";

const EIGEN: &[&str] = &["base"];
const SINGULAR: &[&str] = &["u_base", "v_base"];

fn bases(topic: &str) -> &'static [&'static str] {
    if topic.starts_with("positive") { EIGEN } else { SINGULAR }
}

fn rule(topic: &str, case: &Case<'_>) -> Box<dyn Rule> {
    let rank = case.note["rank"].as_u64().unwrap_or(0) as usize;
    let map = match case.note["triv"].as_str().unwrap() {
        "expm" => OrthogonalMap::Exp,
        _ => OrthogonalMap::Cayley,
    };
    match topic {
        "positive_definite" => Box::new(PositiveDefinite::new().map(map)),
        "positive_semidefinite" => Box::new(PositiveSemidefinite::rank(rank).map(map)),
        "low_rank" => Box::new(LowRank::new(rank).map(map)),
        "fixed_rank" => Box::new(FixedRank::new(rank).map(map)),
        other => panic!("no topic {other}"),
    }
}

/// The columns that the value depends on, for each matrix of a stack: `[matrix][column][row]`.
fn columns<const D: usize>(base: Tensor<D>, rank: usize) -> Vec<Vec<Vec<f64>>> {
    let side = base.dims()[D - 1];
    let numbers = values(base);
    let column = |matrix: &[f64], column: usize| -> Vec<f64> {
        matrix.iter().skip(column).step_by(side).copied().collect()
    };
    numbers
        .chunks(side * side)
        .map(|matrix| (0..rank).map(|index| column(matrix, index)).collect())
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The bases hold the vectors of the file's. A vector is unique up to its sign, which two bases
/// share; the columns after the first `rank` are any that complete the matrix.
#[track_caller]
fn bases_agree<const D: usize, H: Host<D>>(life: &Life<'_, D, H>, topic: &str, prefix: &str) {
    let case = life.case;
    let rank = match case.note["rank"].as_u64() {
        Some(rank) => rank as usize,
        None => case.shape("weight")[D - 1],
    };
    let mut signs: Option<Vec<Vec<f64>>> = None;
    for base in bases(topic) {
        let what = format!("{prefix}{base}");
        let found = columns(stored::<D, _>(&life.net, &buffer(base)), rank);
        let expected = columns(case.tensor::<D>(&what), rank);
        let here = || {
            let pairs = found.iter().zip(&expected);
            pairs.map(|(f, e)| f.iter().zip(e).map(|(f, e)| dot(f, e).signum()).collect()).collect()
        };
        let signs: &Vec<Vec<f64>> = signs.get_or_insert_with(here);
        for (matrix, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
                let signed: Vec<f64> = found.iter().map(|x| x * signs[matrix][column]).collect();
                let label = format!("{} {matrix} {column}", case.label(&what));
                assert_close(&label, &signed, expected, Tolerance::elementwise(case.dtype));
            }
        }
    }
}

fn whole_life<const D: usize, H: Host<D>>(topic: &str, name: &str) {
    for case in Golden::open(topic).case(name) {
        let mut life = Life::<D, H>::of(&case, Tolerance::elementwise(case.dtype));
        life.net.register("weight", rule(topic, &case)).unwrap();
        life.original("original", "original");
        bases_agree(&life, topic, "");
        life.value("initial_value");
        life.state_dict();

        // From here on with geotorch's signs and completion.
        for base in bases(topic) {
            life.put_buffer::<D>(base, base);
        }
        life.value("initial_value");
        life.put("original", "perturbed");
        life.value("value");
        life.gradients(&["original"]);

        life.assign("assigned");
        life.original("original", "assigned_original");
        bases_agree(&life, topic, "assigned_");
        life.value("assigned_value");

        // What geotorch refuses is brought into the set: to the nearest value in it.
        life.assign("general");
        let found = H::turn(life.net.get::<D>("weight").unwrap());
        assert_close(
            &case.label("projected"),
            &values(found),
            &case.values("projected"),
            nearest(topic, &case),
        );
    }
}

/// The eigenvalues of a definite matrix stay above 0, which the nearest value does not.
fn nearest(topic: &str, case: &Case<'_>) -> Tolerance {
    match topic {
        "positive_definite" => Tolerance::new(1e-5, 1e-5),
        _ => Tolerance::elementwise(case.dtype),
    }
}

fn agrees(topic: &str, linear: &[&'static str], batch: &'static str) {
    Golden::open(topic).assert_all_tested(linear.iter().copied().chain([batch]));
    linear.iter().for_each(|name| whole_life::<2, Linear>(topic, name));
    whole_life::<3, Holder<3>>(topic, batch);
}

#[test]
fn positive_definite_matrices_agree() {
    agrees("positive_definite", &DEFINITE, DEFINITE_BATCH);
}

#[test]
fn positive_semidefinite_matrices_agree() {
    agrees("positive_semidefinite", &SEMIDEFINITE, SEMIDEFINITE_BATCH);
}

#[test]
fn matrices_of_low_rank_agree() {
    agrees("low_rank", &RANKS, RANKS_BATCH);
}

#[test]
fn matrices_of_fixed_rank_agree() {
    agrees("fixed_rank", &RANKS, RANKS_BATCH);
}
