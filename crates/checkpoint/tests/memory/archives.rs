//! Zip archives: of arrays, of PyTorch and of Keras.

use crate::zips::{Member, large, zip};
use crate::{Attack, Hostile, attack, file};

fn one(bytes: Vec<u8>) -> Vec<Hostile> {
    vec![file("a", bytes)]
}

fn npy(shape: &str, data: usize) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}");
    let length = (text.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), &vec![0; data]].concat()
}

/// Says that so many bytes come out.
fn claiming(mut member: Member, size: usize) -> Member {
    (member.size, member.header_size) = (size as u32, size as u32);
    member
}

pub(crate) fn npz() -> Vec<Attack> {
    vec![
        attack("npz: members that are not there", || {
            one([&b"PK\x05\x06"[..], &[0; 4], &[0xfe, 0xff, 0xfe, 0xff], &[0; 10]].concat())
        }),
        attack("npz: more members than are read", || {
            let member = Member::new("a.npy", b"");
            one(large(&vec![member; (1 << 18) + 1]))
        }),
        attack("npz: as many members as are read, two of a name", || {
            let mut members: Vec<Member> =
                (0..1 << 18).map(|i| Member::new(&format!("{i:064x}"), b"")).collect();
            members[9].name = members[8].name.clone();
            members[9].header_name = members[8].name.clone();
            one(large(&members))
        }),
        attack("npz: as many arrays as are read, the last without a header", || {
            let array = npy("(0,)", 0);
            let mut members: Vec<Member> =
                (0..1 << 17).map(|i| Member::new(&format!("{i:x}.npy"), &array)).collect();
            members[(1 << 17) - 1] = Member::new("last.npy", b"");
            one(large(&members))
        }),
        attack("npz: deflated arrays, the last without a header", || {
            let array = Member::deflated("a.npy", &npy("(0,)", 0));
            let named = |i| {
                let name = format!("{i:x}.npy");
                Member { name: name.clone(), header_name: name, ..array.clone() }
            };
            let mut members: Vec<Member> = (0..1 << 16).map(named).collect();
            members.push(Member::deflated("last.npy", b""));
            one(large(&members))
        }),
        attack("npz: an array that does not come out", || {
            let array = npy("(200000000,)", 0);
            let mut member = Member::deflated("a.npy", &array);
            member.bytes.resize(300_000, 0);
            one(zip(&[claiming(member, array.len() + 200_000_000)]))
        }),
        attack("npz: an array that comes out and has another sum", || {
            let mut member = Member::deflated("a.npy", &npy("(200000000,)", 200_000_000));
            member.crc ^= 1;
            one(zip(&[member]))
        }),
        attack("npz: an array that goes on", || {
            let member = Member::deflated("a.npy", &npy("(9,)", 200_000_000));
            one(zip(&[claiming(member, npy("(9,)", 9).len())]))
        }),
    ]
}

pub(crate) fn torch() -> Vec<Attack> {
    vec![
        attack("torch: a pickle that would be large", || {
            let mut member = Member::deflated("m/data.pkl", b"}.");
            member.bytes.resize(2 << 20, 0);
            one(zip(&[claiming(member, 1 << 30)]))
        }),
        attack("torch: a large pickle", || {
            one(zip(&[Member::deflated("m/data.pkl", &vec![b'N'; 64 << 20])]))
        }),
        attack("torch: a large pickle of lists", || {
            one(zip(&[Member::deflated("m/data.pkl", &vec![b']'; 60 << 20])]))
        }),
        attack("torch: a pickle that goes on", || {
            let member = Member::deflated("m/data.pkl", &vec![b'N'; 200 << 20]);
            one(zip(&[claiming(member, 100)]))
        }),
    ]
}

/// A model with two texts of that length.
fn model(texts: usize, weights: Member) -> Vec<Hostile> {
    let text = vec![b' '; texts];
    let texts = ["config.json", "metadata.json"].map(|name| Member::deflated(name, &text));
    one(zip(&[&texts[..], &[weights]].concat()))
}

pub(crate) fn keras() -> Vec<Attack> {
    const WEIGHTS: &str = "model.weights.h5";
    vec![
        attack("keras: texts that are too long", || {
            model((16 << 20) + 1, Member::new(WEIGHTS, b""))
        }),
        attack("keras: long texts, and weights that are none", || {
            model(16 << 20, Member::deflated(WEIGHTS, &vec![0; 31 << 20]))
        }),
        attack("keras: weights that are too large", || {
            model(2, Member::deflated(WEIGHTS, &vec![0; 80 << 20]))
        }),
        attack("keras: weights that would not fit in memory, and are none", || {
            let mut member = Member::deflated(WEIGHTS, &vec![0; 80 << 20]);
            member.bytes.resize(1 << 20, 0);
            model(2, member)
        }),
        attack("keras: weights that go on", || {
            model(2, claiming(Member::deflated(WEIGHTS, &vec![0; 80 << 20]), 1000))
        }),
    ]
}
