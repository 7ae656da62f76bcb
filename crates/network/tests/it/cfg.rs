//! The published layouts of YOLOv3 and darknet19 in darknet's syntax.
//!
//! Redmon and Farhadi, "YOLOv3: An Incremental Improvement" (2018), table 1 and section 2.3;
//! "YOLO9000: Better, Faster, Stronger" (2017), table 6.

use std::fmt::Write as _;

/// Convolutions so far, for a count of parameters that knows nothing of the library.
pub(crate) struct Cfg {
    pub(crate) text: String,
    /// `[inputs, outputs, size]` of each, and whether it has a norm.
    pub(crate) convolutions: Vec<([usize; 3], bool)>,
    channels: usize,
}

impl Cfg {
    fn new(size: usize) -> Self {
        let text = format!(
            "[net]\n# Testing\nbatch=1\nsubdivisions=1\nwidth={size}\nheight={size}\nchannels=3\n\
             momentum=0.9\ndecay=0.0005\nangle=0\nsaturation = 1.5\n\nlearning_rate=0.001\n\
             burn_in=1000\npolicy=steps\nsteps=400000,450000\nscales=.1,.1\n"
        );
        Self { text, convolutions: Vec::new(), channels: 3 }
    }

    fn section(&mut self, section: &str) {
        writeln!(self.text, "\n{section}").unwrap();
    }

    fn conv(&mut self, filters: usize, size: usize, stride: usize) {
        self.section(&format!(
            "[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\nstride={stride}\n\
             pad=1\nactivation=leaky"
        ));
        self.convolutions.push(([self.channels, filters, size], true));
        self.channels = filters;
    }

    /// Without a norm.
    fn last_conv(&mut self, filters: usize) {
        self.section(&format!(
            "[convolutional]\nsize=1\nstride=1\npad=1\nfilters={filters}\nactivation=linear"
        ));
        self.convolutions.push(([self.channels, filters, 1], false));
        self.channels = filters;
    }

    fn yolo(&mut self, mask: &str, classes: usize) {
        self.section(&format!(
            "[yolo]\nmask = {mask}\nanchors = 10,13,  16,30,  33,23,  30,61,  62,45,  59,119,  \
             116,90,  156,198,  373,326\nclasses={classes}\nnum=9\njitter=.3\nignore_thresh = .7\n\
             truth_thresh = 1\nrandom=1"
        ));
    }

    /// The numbers that its convolutions learn: weights, and a scale and a bias, or a bias, a filter.
    pub(crate) fn learned(&self) -> usize {
        let one = |([inputs, outputs, size], norm): &([usize; 3], bool)| {
            inputs * outputs * size * size + if *norm { 2 * outputs } else { *outputs }
        };
        self.convolutions.iter().map(one).sum()
    }

    /// The running means and variances of its norms.
    pub(crate) fn kept(&self) -> usize {
        let norms = self.convolutions.iter().filter(|(_, norm)| *norm);
        norms.map(|([_, outputs, _], _)| 2 * outputs).sum()
    }
}

pub(crate) fn yolov3(classes: usize, size: usize) -> Cfg {
    let mut cfg = Cfg::new(size);
    cfg.conv(32, 3, 1);
    for (channels, blocks) in [(64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)] {
        cfg.conv(channels, 3, 2);
        for _ in 0..blocks {
            cfg.conv(channels / 2, 1, 1);
            cfg.conv(channels, 3, 1);
            cfg.section("[shortcut]\nfrom=-3\nactivation=linear");
        }
    }
    let heads =
        [(512, "6,7,8", None), (256, "3,4,5", Some((61, 512))), (128, "0,1,2", Some((36, 256)))];
    for (channels, mask, joined) in heads {
        if let Some((layer, others)) = joined {
            cfg.section("[route]\nlayers = -4");
            cfg.channels = channels * 2;
            cfg.conv(channels, 1, 1);
            cfg.section("[upsample]\nstride=2");
            cfg.section(&format!("[route]\nlayers = -1, {layer}"));
            cfg.channels = channels + others;
        }
        for _ in 0..3 {
            cfg.conv(channels, 1, 1);
            cfg.conv(channels * 2, 3, 1);
        }
        cfg.last_conv(3 * (4 + 1 + classes));
        cfg.yolo(mask, classes);
    }
    cfg
}

pub(crate) fn darknet19() -> Cfg {
    let mut cfg = Cfg::new(224);
    let stages: [&[(usize, usize)]; 6] = [
        &[(32, 3)],
        &[(64, 3)],
        &[(128, 3), (64, 1), (128, 3)],
        &[(256, 3), (128, 1), (256, 3)],
        &[(512, 3), (256, 1), (512, 3), (256, 1), (512, 3)],
        &[(1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3)],
    ];
    for (index, stage) in stages.iter().enumerate() {
        if index > 0 {
            cfg.section("[maxpool]\nsize=2\nstride=2");
        }
        for (filters, size) in *stage {
            cfg.conv(*filters, *size, 1);
        }
    }
    cfg.last_conv(1000);
    for section in ["[avgpool]", "[softmax]\ngroups=1", "[cost]\ntype=sse"] {
        cfg.section(section);
    }
    cfg
}
