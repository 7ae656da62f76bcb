//! What lazy convolutions of one, two and three dimensions share.

use burn::nn::Initializer;

use super::draw::{check_options, check_some};
use crate::nn::layer::WidthError;
use crate::nn::window::Window;

/// A convolution's configuration without its input channels.
pub(super) struct Options<'a, const N: usize> {
    pub(super) channels_out: usize,
    pub(super) groups: usize,
    pub(super) window: Window<N>,
    pub(super) initializer: &'a Initializer,
    pub(super) bias: bool,
}

impl<const N: usize> Options<'_, N> {
    /// The output for `input` (`[batch, channels, ...]`), after a check of options and input.
    pub(super) fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let smallest = |sizes: [usize; N]| sizes.into_iter().min().unwrap_or(1);
        let options = [
            ("output channels", self.channels_out),
            ("a kernel", smallest(self.window.kernel)),
            ("a stride", smallest(self.window.stride)),
            ("a dilation", smallest(self.window.dilation)),
            ("groups", self.groups),
        ];
        check_options(input, &options, self.initializer, self.bias)?;
        self.multiple(input, "output channels", self.channels_out)?;
        Window::<N>::check_rank(input)?;
        check_some(input, 1, "input channels")?;
        self.multiple(input, "input channels", input[1])?;
        self.window.output(self.channels_out, input)
    }

    fn multiple(&self, input: &[usize], what: &str, found: usize) -> Result<(), WidthError> {
        if found.is_multiple_of(self.groups) {
            return Ok(());
        }
        Err(WidthError {
            expected: format!("a multiple of {} {what} (its groups)", self.groups),
            found: found.to_string(),
            input: input.to_vec(),
            inside: None,
        })
    }
}
