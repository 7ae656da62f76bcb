//! The exponential of a square matrix by Taylor polynomials of few products (Bader, Blanes, Casas,
//! "Computing the matrix exponential with an optimized Taylor polynomial approximation", 2019),
//! scaling and squaring; its gradient by the same products backwards.
//!
//! A polynomial of degree 4, 8, 12 or 18 costs 2, 3, 4 or 5 products, and its gradient twice that.
//! A skew matrix costs less: its powers are symmetric or skew, so that half of each is computed, and
//! of a gradient only the part of that kind counts. It is normal as well: the norm that bounds the
//! error is its spectral norm, and that of each power bounds it from above, the higher the tighter.
//! So far fewer squarings are needed than the 1-norm asks for.

use faer::{Accum, MatRef};

use super::matrix::{Matrix, add, combine, product};
use super::parts::mirrored;
use crate::Real;

/// Norms up to which the degrees 4, 8, 12 and 18 are exact to rounding, for `f32` and `f64`.
const REACH: [[f64; 4]; 2] = [[9.0e-2, 0.58, 1.46, 3.01], [1.6e-3, 6.9e-2, 0.30, 1.09]];

/// Norm above which a matrix is scaled before its powers are taken, lest they overflow.
const LARGE: f64 = 64.0;

/// Degree 8: `A4 = A2 (X1 A + X2 A2)`, `T = I + A + Y2 A2 + (X3 A2 + A4) (X4 + X5 A + X6 A2 + X7 A4)`.
const X1: f64 = 0.1083646567852278;
const X2: f64 = 0.02709116419630695;
const X3: f64 = 2.0 / 3.0;
const X4: f64 = 0.546761457970724;
const X5: f64 = 0.16112557339541758;
const X6: f64 = 0.014090917158378206;
const X7: f64 = 0.0337927970108705;
const Y2: f64 = 0.13549236135285073;

/// Degree 12, weights of `A`, `A2`, `A3` and of `I` in `B1` to `B4`: `A6 = B3 + B4 B4`,
/// `T = B1 + (B2 + A6) A6`.
const TWELVE: [[f64; 3]; 4] = [
    [0.469_321_175_954_182_4, -0.200_994_249_270_472_84, -0.046_239_461_340_630_72],
    [1.199_267_904_171_322_3, 0.011_792_962_409_929_97, 0.011_088_445_285_191_68],
    [0.055_027_984_399_253_99, 0.093_515_907_705_354_15, 0.006_107_005_288_980_582],
    [-0.131_810_610_138_301_84, -0.020_278_555_405_892_59, -0.006_759_518_468_630_864],
];
const TWELVE_IDENTITY: [f64; 4] =
    [9.0198e-16, 5.315_978_957_598_713, 0.181_888_699_821_704_34, -2.086132e-13];

/// Degree 18, weights of `A`, `A2`, `A3`, `A6` and of `I` in `B1` to `B5`: `A9 = B1 B5 + B4`,
/// `T = B2 + (B3 + A9) A9`.
const EIGHTEEN: [[f64; 4]; 5] = [
    [-0.100_365_581_030_144_62, -8.029_246_482_411_57e-3, -8.921_384_980_457_3e-4, 0.0],
    [
        0.397_849_749_499_645_1,
        1.367_837_784_604_117_2,
        0.498_289_622_525_382_67,
        -6.378_981_945_947_233e-4,
    ],
    [
        1.680_158_138_789_062,
        0.057_177_984_647_886_55,
        -6.982_101_224_880_520_6e-3,
        3.349_750_170_860_705e-5,
    ],
    [
        -0.067_640_451_907_138_19,
        0.067_596_130_177_045_97,
        0.029_555_257_042_931_552,
        -1.391_802_575_160_607e-5,
    ],
    [0.0, -0.092_336_461_936_711_86, -0.016_936_493_900_208_172, -1.400_867_981_820_361e-5],
];
const EIGHTEEN_IDENTITY: [f64; 5] =
    [0.0, 0.0, -10.967_639_605_296_206, -0.090_431_683_239_081_06, 0.0];

/// What the gradient of an exponential needs.
#[derive(Debug, Clone)]
pub(super) struct Series<T> {
    skew: bool,
    /// What the matrix was multiplied by before its powers were taken.
    shrunk: f64,
    /// What it is multiplied by in the polynomial.
    scale: f64,
    a: Matrix<T>,
    a2: Matrix<T>,
    steps: Steps<T>,
    /// What was squared, in order.
    squared: Vec<Matrix<T>>,
}

/// The factors of the products, by degree.
#[derive(Debug, Clone)]
enum Steps<T> {
    Four { w: Matrix<T> },
    Eight { u: Matrix<T>, v: Matrix<T>, w: Matrix<T> },
    Twelve { b4: Matrix<T>, a6: Matrix<T>, l: Matrix<T> },
    Eighteen { a3: Matrix<T>, b1: Matrix<T>, b5: Matrix<T>, a9: Matrix<T>, l: Matrix<T> },
}

fn like<T: Real>(m: &Matrix<T>) -> Matrix<T> {
    Matrix::zeros(m.rows(), m.columns())
}

fn times<T: Real>(lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) -> Matrix<T> {
    let mut out = Matrix::zeros(lhs.nrows(), rhs.ncols());
    product(out.view_mut(), Accum::Replace, 1.0, lhs, rhs);
    out
}

/// A product of powers of one matrix.
fn power<T: Real>(lhs: &Matrix<T>, rhs: &Matrix<T>, skew: bool, sign: f64) -> Matrix<T> {
    if skew { mirrored(lhs.view(), rhs.view(), sign) } else { times(lhs.view(), rhs.view()) }
}

/// A bound of the spectral norm, from the `p`-th power of a matrix.
fn bound<T: Real>(m: &Matrix<T>, skew: bool, p: f64) -> f64 {
    let (sum, squares) = m.norms();
    // Eigenvalues of a skew matrix come in pairs of one magnitude.
    let norm = if skew { sum.min((0.5 * squares).sqrt()) } else { sum };
    norm.powf(1.0 / p)
}

/// `exp(a)`, and what its gradient needs. `skew`: `a` is known to be skew.
pub(super) fn exponential<T: Real>(mut a: Matrix<T>, skew: bool) -> (Matrix<T>, Series<T>) {
    let [four, eight, twelve, eighteen] = REACH[usize::from(size_of::<T>() == 8)];
    let mut norm = bound(&a, skew, 1.0);
    let mut shrunk = 1.0;
    let mut doublings = 0;
    if norm.is_finite() && norm > LARGE {
        doublings = (norm / LARGE).log2().ceil() as i32;
        shrunk = 2f64.powi(-doublings);
        a.scale(T::of(shrunk));
        norm *= shrunk;
    }
    let a2 = power(&a, &a, skew, 1.0);
    let second = bound(&a2, skew, 2.0);
    if skew {
        norm = norm.min(second);
    }
    let mut scale = 1.0;
    let (value, steps) = if norm <= four {
        of_degree_four(&a, &a2)
    } else if norm <= eight {
        of_degree_eight(&a, &a2)
    } else {
        let a3 = power(&a2, &a, skew, -1.0);
        let third = bound(&a3, skew, 3.0);
        // Without normality one power alone says nothing (Al-Mohy and Higham, 2009).
        norm = norm.min(if skew { third } else { second.max(third) });
        if norm <= twelve {
            of_degree_twelve(&a, &a2, &a3)
        } else {
            let a6 = power(&a3, &a3, skew, 1.0);
            if skew {
                norm = norm.min(bound(&a6, skew, 6.0));
            }
            if norm.is_finite() && norm > eighteen {
                let more = (norm / eighteen).log2().ceil() as i32;
                scale = 2f64.powi(-more);
                doublings += more;
            }
            of_degree_eighteen(&a, &a2, a3, &a6, scale)
        }
    };
    let mut value = value;
    let mut squared = Vec::new();
    for _ in 0..doublings {
        let next = times(value.view(), value.view());
        squared.push(std::mem::replace(&mut value, next));
    }
    (value, Series { skew, shrunk, scale, a, a2, steps, squared })
}

fn of_degree_four<T: Real>(a: &Matrix<T>, a2: &Matrix<T>) -> (Matrix<T>, Steps<T>) {
    let (mut value, mut w) = (like(a), like(a));
    combine([&mut value, &mut w], [a, a2], [[1.0, 0.0], [1.0 / 6.0, 1.0 / 24.0]], [1.0, 0.5]);
    product(value.view_mut(), Accum::Add, 1.0, a2.view(), w.view());
    (value, Steps::Four { w })
}

fn of_degree_eight<T: Real>(a: &Matrix<T>, a2: &Matrix<T>) -> (Matrix<T>, Steps<T>) {
    let (mut value, mut u) = (like(a), like(a));
    combine([&mut value, &mut u], [a, a2], [[1.0, Y2], [X1, X2]], [1.0, 0.0]);
    let a4 = times(a2.view(), u.view());
    let (mut v, mut w) = (like(a), like(a));
    combine([&mut v, &mut w], [a, a2, &a4], [[0.0, X3, 1.0], [X5, X6, X7]], [0.0, X4]);
    product(value.view_mut(), Accum::Add, 1.0, v.view(), w.view());
    (value, Steps::Eight { u, v, w })
}

fn of_degree_twelve<T: Real>(
    a: &Matrix<T>,
    a2: &Matrix<T>,
    a3: &Matrix<T>,
) -> (Matrix<T>, Steps<T>) {
    let (mut value, mut l, mut a6, mut b4) = (like(a), like(a), like(a), like(a));
    combine([&mut value, &mut l, &mut a6, &mut b4], [a, a2, a3], TWELVE, TWELVE_IDENTITY);
    product(a6.view_mut(), Accum::Add, 1.0, b4.view(), b4.view());
    add(&mut l, 1.0, &a6);
    product(value.view_mut(), Accum::Add, 1.0, l.view(), a6.view());
    (value, Steps::Twelve { b4, a6, l })
}

fn of_degree_eighteen<T: Real>(
    a: &Matrix<T>,
    a2: &Matrix<T>,
    a3: Matrix<T>,
    a6: &Matrix<T>,
    scale: f64,
) -> (Matrix<T>, Steps<T>) {
    let (mut b1, mut value, mut l, mut a9, mut b5) = (like(a), like(a), like(a), like(a), like(a));
    combine(
        [&mut b1, &mut value, &mut l, &mut a9, &mut b5],
        [a, a2, &a3, a6],
        eighteen_scaled(scale),
        EIGHTEEN_IDENTITY,
    );
    product(a9.view_mut(), Accum::Add, 1.0, b1.view(), b5.view());
    add(&mut l, 1.0, &a9);
    product(value.view_mut(), Accum::Add, 1.0, l.view(), a9.view());
    (value, Steps::Eighteen { a3, b1, b5, a9, l })
}

/// The weights for a matrix that is multiplied by `scale`.
fn eighteen_scaled(scale: f64) -> [[f64; 4]; 5] {
    let powers = [1, 2, 3, 6].map(|p| scale.powi(p));
    EIGHTEEN.map(|row| std::array::from_fn(|i| row[i] * powers[i]))
}

fn columns<const R: usize, const C: usize>(rows: [[f64; C]; R]) -> [[f64; R]; C] {
    std::array::from_fn(|c| std::array::from_fn(|r| rows[r][c]))
}

impl<T: Real> Series<T> {
    /// The gradient of `a` for that of `exp(a)`. For a skew `a` only its skew part is right.
    pub(super) fn backward(&self, gradient: Matrix<T>) -> Matrix<T> {
        let mut g = gradient;
        if let Some(spare) = self.squared.first() {
            let mut next = like(spare);
            for q in self.squared.iter().rev() {
                product(next.view_mut(), Accum::Replace, 1.0, g.view(), q.transpose());
                product(next.view_mut(), Accum::Add, 1.0, q.transpose(), g.view());
                std::mem::swap(&mut g, &mut next);
            }
        }
        let (mut da, mut da2) = (like(&g), like(&g));
        match &self.steps {
            Steps::Four { w } => {
                let dw = times(self.even(&self.a2), g.view());
                combine(
                    [&mut da, &mut da2],
                    [&g, &dw],
                    [[1.0, 1.0 / 6.0], [0.0, 1.0 / 24.0]],
                    [0.0; 2],
                );
                product(da2.view_mut(), Accum::Add, 1.0, g.view(), w.transpose());
            }
            Steps::Eight { u, v, w } => {
                let dv = times(g.view(), w.transpose());
                let dw = times(v.transpose(), g.view());
                let mut da4 = like(&g);
                combine(
                    [&mut da, &mut da2, &mut da4],
                    [&g, &dv, &dw],
                    [[1.0, 0.0, X5], [Y2, X3, X6], [0.0, 1.0, X7]],
                    [0.0; 3],
                );
                product(da2.view_mut(), Accum::Add, 1.0, da4.view(), u.transpose());
                let du = times(self.even(&self.a2), da4.view());
                add(&mut da, X1, &du);
                add(&mut da2, X2, &du);
            }
            Steps::Twelve { b4, a6, l } => {
                let dl = times(g.view(), a6.transpose());
                let mut da6 = times(l.transpose(), g.view());
                add(&mut da6, 1.0, &dl);
                let mut db4 = times(da6.view(), b4.transpose());
                product(db4.view_mut(), Accum::Add, 1.0, b4.transpose(), da6.view());
                let mut da3 = like(&g);
                combine(
                    [&mut da, &mut da2, &mut da3],
                    [&g, &dl, &da6, &db4],
                    columns(TWELVE),
                    [0.0; 3],
                );
                self.cube(&mut da, &mut da2, da3);
            }
            Steps::Eighteen { a3, b1, b5, a9, l } => {
                let dl = times(g.view(), a9.transpose());
                let mut da9 = times(l.transpose(), g.view());
                add(&mut da9, 1.0, &dl);
                let db1 = times(da9.view(), b5.transpose());
                let db5 = times(b1.transpose(), da9.view());
                let (mut da3, mut da6) = (like(&g), like(&g));
                combine(
                    [&mut da, &mut da2, &mut da3, &mut da6],
                    [&db1, &g, &dl, &da9, &db5],
                    columns(eighteen_scaled(self.scale)),
                    [0.0; 4],
                );
                self.square(&mut da3, da6, a3);
                self.cube(&mut da, &mut da2, da3);
            }
        }
        self.square(&mut da, da2, &self.a);
        if self.shrunk != 1.0 {
            da.scale(T::of(self.shrunk));
        }
        da
    }

    /// The transpose of an even power.
    fn even<'a>(&self, m: &'a Matrix<T>) -> MatRef<'a, T> {
        if self.skew { m.view() } else { m.transpose() }
    }

    /// Adds to `dm` what `dm2`, the gradient of `m m`, gives; `m` is an odd power.
    fn square(&self, dm: &mut Matrix<T>, mut dm2: Matrix<T>, m: &Matrix<T>) {
        if self.skew {
            // D m^T + m^T D is -(D m - (D m)^T) for a symmetric D: -2 D m up to a symmetric part.
            dm2.fold(T::of(1.0));
            product(dm.view_mut(), Accum::Add, -2.0, dm2.view(), m.view());
        } else {
            product(dm.view_mut(), Accum::Add, 1.0, dm2.view(), m.transpose());
            product(dm.view_mut(), Accum::Add, 1.0, m.transpose(), dm2.view());
        }
    }

    /// Adds to `da` and `da2` what `da3`, the gradient of `a2 a`, gives.
    fn cube(&self, da: &mut Matrix<T>, da2: &mut Matrix<T>, mut da3: Matrix<T>) {
        if self.skew {
            da3.fold(T::of(-1.0));
        }
        product(da2.view_mut(), Accum::Add, 1.0, da3.view(), self.a.transpose());
        product(da.view_mut(), Accum::Add, 1.0, self.even(&self.a2), da3.view());
    }
}
