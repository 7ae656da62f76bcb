//! Darknet's files: the published networks, and what is wrong with wrong ones.

use espalier_network::{
    Architecture, HeadKind, Input, Layer, Limits, Plan, ReadError, Reference, Source,
};

use crate::cfg::{darknet19, yolov3};

fn plan(text: &str) -> Plan {
    let architecture = Architecture::parse_darknet(text, "net.cfg").unwrap();
    architecture.plan(None, &Limits::default()).unwrap()
}

#[test]
fn yolov3_has_the_published_size() {
    let cfg = yolov3(80, 416);
    let architecture = Architecture::parse_darknet(&cfg.text, "yolov3.cfg").unwrap();
    assert_eq!(architecture.layers.len(), 107);
    assert_eq!(architecture.input.as_ref().unwrap().value, Input::values([3, 416, 416]));
    let plan = architecture.plan(None, &Limits::default()).unwrap();

    assert_eq!(cfg.convolutions.len(), 75);
    assert_eq!((plan.parameters(), cfg.learned()), (61_949_149, 61_949_149));
    assert_eq!((plan.buffers(), cfg.kept()), (52_608, 52_608));
    // As many numbers as `yolov3.weights` has behind its header.
    assert_eq!(plan.parameters() + plan.buffers(), 62_001_757);
    // Darknet counts 65.86 billion operations, a multiplication and an addition each.
    let operations = 2.0 * plan.macs() as f64 / 1e9;
    assert!((operations - 65.86).abs() < 0.1, "{operations}");

    let shapes: Vec<&[usize]> =
        plan.outputs.iter().map(|output| plan.layers[*output].output.as_slice()).collect();
    assert_eq!(shapes, [[255, 13, 13], [255, 26, 26], [255, 52, 52]]);
    let paths: Vec<&str> =
        plan.outputs.iter().map(|output| plan.layers[*output].path.as_str()).collect();
    assert_eq!(paths, ["82", "94", "106"]);
    let heads = architecture.darknet.as_ref().unwrap().heads.iter();
    let heads: Vec<_> = heads.map(|head| (head.layer, head.kind, head.channels)).collect();
    let yolo = |layer| (layer, HeadKind::Yolo, Some(255));
    assert_eq!(heads, [yolo(82), yolo(94), yolo(106)]);
    assert!(plan.unused().is_empty());

    // Darknet's layer 98 joins the layer before and layer 36.
    let route = plan.layers.iter().find(|layer| layer.path == "98").unwrap();
    assert_eq!(route.input_dims, [vec![128, 52, 52], vec![256, 52, 52]]);
    let path = |source: &Source| match source {
        Source::Layer(index) => plan.layers[*index].path.as_str(),
        Source::Input => "input",
    };
    let paths: Vec<&str> = route.inputs.iter().map(path).collect();
    assert_eq!(paths, ["97", "36"]);
}

#[test]
fn darknet19_has_the_published_size() {
    let cfg = darknet19();
    let architecture = Architecture::parse_darknet(&cfg.text, "darknet19.cfg").unwrap();
    let plan = architecture.plan(None, &Limits::default()).unwrap();
    assert_eq!(cfg.convolutions.len(), 19);
    assert_eq!((plan.parameters(), plan.buffers()), (cfg.learned() as u64, cfg.kept() as u64));
    assert_eq!((plan.parameters(), plan.buffers()), (20_842_376, 14_400));
    // The file of the first 18 convolutions, `darknet19_448.conv.23`: four words and the numbers.
    let last = 1024 * 1000 + 1000;
    assert_eq!(16 + 4 * (plan.parameters() + plan.buffers() - last), 79_327_120);
    // 5.58 billion operations in the paper's text, a multiplication and an addition each.
    let operations = 2.0 * plan.macs() as f64 / 1e9;
    assert!((operations - 5.58).abs() < 0.02, "{operations}");
    assert_eq!(plan.layers[*plan.outputs.first().unwrap()].output, [1000]);
    let heads: Vec<_> =
        architecture.darknet.unwrap().heads.iter().map(|head| (head.layer, head.kind)).collect();
    assert_eq!(heads, [(25, HeadKind::Softmax), (26, HeadKind::Cost)]);
}

#[test]
fn training_options_are_kept() {
    let architecture = Architecture::parse_darknet(&darknet19().text, "net.cfg").unwrap();
    let text = architecture.source().to_owned();
    let training = architecture.darknet.unwrap().training;
    assert_eq!(training.batch.unwrap().value, 1);
    assert_eq!(training.learning_rate.unwrap().value, 0.001);
    let momentum = training.momentum.unwrap();
    assert_eq!((momentum.value, &text[momentum.span]), (0.9, "0.9"));
    assert_eq!(training.decay.unwrap().value, 0.0005);
    let ignored: Vec<&str> = training.ignored.iter().map(|line| line.value.as_str()).collect();
    assert_eq!(
        ignored,
        [
            "angle=0",
            "saturation=1.5",
            "burn_in=1000",
            "policy=steps",
            "steps=400000,450000",
            "scales=.1,.1"
        ]
    );
}

const NET: &str = "[net]\nwidth=9\nheight=8\nchannels=4\n";

#[test]
fn pools_have_darknets_sizes() {
    // size, stride, padding and the output of 8 by (8 + padding - size) / stride + 1.
    let cases = [
        ("size=2\nstride=2", [4, 4, 5], 0, 1),
        ("size=2\nstride=1", [4, 8, 9], 0, 1),
        ("size=3\nstride=2", [4, 4, 5], 1, 0),
        ("size=5\nstride=1", [4, 8, 9], 2, 0),
        ("size=2\nstride=2\npadding=0", [4, 4, 4], 0, 0),
        ("stride=3", [4, 3, 3], 1, 0),
        ("size=3\nstride=2\npadding=1", [4, 4, 4], 0, 1),
    ];
    for (options, output, before, overhang) in cases {
        let plan = plan(&format!("{NET}[maxpool]\n{options}"));
        assert_eq!(plan.layers[0].output, output, "{options}");
        let Layer::MaxPool2d { padding, overhang: more, .. } = &plan.layers[0].layer else {
            panic!("{:?}", plan.layers[0].layer)
        };
        assert_eq!((padding, more), (&[before; 2], &[overhang; 2]), "{options}");
    }
}

#[test]
fn sections_are_layers() {
    let text = format!(
        "{NET}
; A comment, and short names.
[conv]
filters=8
size=3
pad=1
groups=2
dilation=2
activation=mish   # behind a value
[dropout]
probability=.25
[shortcut]
from=0
activation=leaky
[route]
layers=-1
groups=2
group_id=1
[upsample]
stride=2
[avgpool]
[connected]
output=5
batch_normalize=1
activation=logistic
[softmax]
"
    );
    let architecture = Architecture::parse_darknet(&text, "net.cfg").unwrap();
    let plan = architecture.plan(None, &Limits::default()).unwrap();
    let shown: Vec<String> = plan
        .layers
        .iter()
        .map(|layer| format!("{} {} {:?}", layer.path, layer.layer.type_name(), layer.output))
        .collect();
    assert_eq!(
        shown,
        [
            "0.0 conv2d [8, 8, 9]",
            "0.1 mish [8, 8, 9]",
            "1 dropout [8, 8, 9]",
            "2 shortcut [8, 8, 9]",
            "3 route [4, 8, 9]",
            "4 upsample [4, 16, 18]",
            "5 adaptive_avg_pool2d [4, 1, 1]",
            "6.0 flatten [4]",
            "6.1 linear [5]",
            "6.2 batch_norm [5]",
            "6.3 sigmoid [5]",
            "7.0 flatten [5]",
            "7.1 softmax [5]",
        ]
    );
    assert_eq!(plan.layers[0].parameters[0].shape, [8, 2, 3, 3]);
    assert_eq!(plan.layers[3].inputs, [Source::Layer(2), Source::Layer(1)]);
    let activation = Some(Box::new(Layer::LeakyRelu { slope: 0.1 }));
    assert_eq!(plan.layers[3].layer, Layer::Shortcut { activation });
    assert_eq!(architecture.layers[3].value.from[0].value, Reference::Back(1));
    assert_eq!(plan.layers[8].parameters.len(), 1);

    // What was read can be written as TOML, and is the same network.
    let again = Architecture::parse(&architecture.to_toml(), "net.toml").unwrap();
    let again = again.plan(None, &Limits::default()).unwrap();
    assert_eq!(again.parameters(), plan.parameters());
    let output = |plan: &Plan| plan.layers.last().unwrap().output.clone();
    assert_eq!((again.layers.len(), output(&again)), (plan.layers.len(), output(&plan)));
}

#[test]
fn wrong_files_say_what_is_wrong() {
    let cases = [
        ("", "n.cfg:1:1: the first section is another; expected `[net]`, the network's input"),
        (
            "width=3\n[convolutional]",
            "n.cfg:1:1: found an option before the first section; expected `[section]` or \
             `key=value` below one\n\
             n.cfg:2:1: the first section is another; expected `[net]`, the network's input",
        ),
        (
            "[net]",
            "n.cfg:1:1: net: found no layer; expected sections like `[convolutional]`, one for each layer",
        ),
        (
            "[net]\nwidth=8\n[avgpool]",
            "n.cfg:1:1: net: [net] says only a part of the input's size; expected `channels`, \
             `height` and `width` of an image, or `inputs`",
        ),
        (
            "[net]\nwidth\n[avgpool\n[avgpool]",
            "n.cfg:2:1: found neither a section nor an option; expected `[section]` or `key=value` \
             below one\n\
             n.cfg:3:1: found `[` without `]`; expected `[section]` or `key=value` below one",
        ),
        (
            "[net]\nbacth=2\n[avgpool]",
            "n.cfg:2:1: net.bacth: unknown key of [net]; expected one of `channels`, `height`, \
             `width`, `inputs`, `batch`, `subdivisions`, `learning_rate`, `momentum`, `decay`; did \
             you mean `batch`?",
        ),
        (
            "[net]\n[convolutional]\n filters = x # none\nsize=0\nactivation=leeky\npad=2\nfliters=3",
            "n.cfg:3:12: layer[0].filters: found \"x\"; expected an integer from 1 to 16777216\n\
             n.cfg:4:6: layer[0].size: found \"0\"; expected an integer from 1 to 16777216\n\
             n.cfg:5:12: layer[0].activation: unknown name \"leeky\"; expected one of `linear`, \
             `leaky`, `relu`, `logistic`, `tanh`, `mish`, `swish`, `elu`, `selu`; did you mean `leaky`?\n\
             n.cfg:6:5: layer[0].pad: found \"2\"; expected 0 or 1\n\
             n.cfg:7:1: layer[0].fliters: unknown key of [convolutional]; expected one of `filters`, \
             `size`, `stride`, `pad`, `padding`, `groups`, `dilation`, `batch_normalize`, \
             `activation`; did you mean `filters`?",
        ),
        (
            "\u{feff}[net]\r\nbatch=64\r\nbatch=64\r\nbatch = 1\r\n[avgpool]",
            "n.cfg:4:9: net.batch: found \"1\" after \"64\"; expected one value",
        ),
        (
            "[net]\n[reorg]\nstride=2\n[net]",
            "n.cfg:2:1: layer[0]: [reorg] is a section of darknet that is not supported; expected SECTIONS\n\
             n.cfg:4:1: layer[1]: only the first section is the network's; expected SECTIONS",
        ),
        (
            "[net]\n[maxpol]",
            "n.cfg:2:1: layer[0]: unknown section \"maxpol\"; expected SECTIONS; did you mean `maxpool`?",
        ),
        (
            "[net]\n[route]\n[shortcut]\nfrom=-1,x\n[route]\nlayers=-1\ngroups=2\ngroup_id=2",
            "n.cfg:2:1: layer[0]: [route] has no `layers`; expected `layers=`, the number of a layer \
             before, or several\n\
             n.cfg:4:9: layer[1].from: found \"x\"; expected integers with commas between\n\
             n.cfg:8:10: layer[2].group_id: found 2; expected a group below 2, `groups`",
        ),
        (
            "[net]\n[maxpool]\nsize=2\npadding=9\n[softmax]\ntemperature=2\n[dropout]\nprobability=1",
            "n.cfg:4:9: layer[0].padding: found 9 for a size of 2; expected at most 2\n\
             n.cfg:6:13: layer[1].temperature: found \"2\"; expected 1\n\
             n.cfg:8:13: layer[2].probability: found \"1\"; expected a number of at least 0 and below 1",
        ),
    ];
    const SECTIONS: &str = "one of `convolutional`, `conv`, `connected`, `conn`, `maxpool`, `max`, \
        `avgpool`, `avg`, `dropout`, `shortcut`, `route`, `upsample`, `softmax`, `soft`, `cost`, \
        `yolo`, `region`, `detection`";
    for (text, expected) in cases {
        let error = Architecture::parse_darknet(text, "n.cfg").unwrap_err();
        assert_eq!(error.to_string(), expected.replace("SECTIONS", SECTIONS));
    }
}

#[test]
fn networks_that_do_not_fit_say_where() {
    let cases = [
        (
            "[avgpool]\n[shortcut]\nfrom=-2\n[route]\nlayers=1,7",
            "n.cfg:6:1: layer[1]: shortcut is given [4, 1, 1] by layer[0] and [4, 8, 9] by the \
             input; expected the same shape of each\n\
             n.cfg:9:10: layer[2].from[1]: 7 is no layer; expected an earlier layer, 0 to 1 or -1 to -2",
        ),
        (
            "[convolutional]\nfilters=20\nactivation=linear\n[yolo]\nmask=0,1,2\nclasses=3",
            "n.cfg:8:1: layer[1]: [yolo] is given [20, 8, 9]; expected 24 channels, what its boxes \
             and classes need; set `filters=24` in the section before",
        ),
        (
            "[convolutional]\nsize=11\nactivation=linear",
            "n.cfg:5:1: layer[0].layer[0]: conv2d is given [4, 8, 9] by the input, found 8; expected \
             at least 11 pixels, padding included",
        ),
    ];
    for (text, expected) in cases {
        let text = format!("{NET}{text}");
        let architecture = Architecture::parse_darknet(&text, "n.cfg").unwrap();
        let error = architecture.plan(None, &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let bare = Architecture::parse_darknet("[net]\n[avgpool]", "n.cfg").unwrap();
    let error = bare.plan(None, &Limits::default()).unwrap_err();
    assert!(error.to_string().starts_with("n.cfg:1:1: input: missing key"), "{error}");
    let given = bare.plan(Some(&Input::values([3, 4, 4])), &Limits::default()).unwrap();
    assert_eq!(given.layers[0].output, [3, 1, 1]);
}

#[test]
fn files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let cfg = "# yolo\n\n[net]\nwidth=4\nheight=4\nchannels=1\n[avgpool]\n";
    let toml = "input = [1, 4, 4]\n[[layer]]\ntype = 'global_avg_pool'\n";
    for (name, text, layers) in
        [("a.cfg", cfg, 1), ("a.toml", toml, 1), ("a.network", cfg, 1), ("a.net", toml, 1)]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let read = Architecture::read(&path).unwrap();
        assert_eq!((read.layers.len(), read.source()), (layers, text));
        assert_eq!(read.darknet.is_some(), text == cfg);
    }
    let path = folder.path().join("large.cfg");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(matches!(Architecture::read(&path), Err(ReadError::TooLarge { .. })));
    std::fs::write(&path, b"[net]\n\xff").unwrap();
    assert!(matches!(Architecture::read(&path), Err(ReadError::NotText { offset: 6, .. })));
    std::fs::write(&path, b"[net]\n[x]").unwrap();
    assert!(matches!(Architecture::read(&path), Err(ReadError::Recipe(_))));
}
