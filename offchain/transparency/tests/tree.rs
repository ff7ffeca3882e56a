//! Trees and proofs: known answers, the recursive definitions of RFC 9162, and everything that a forger may change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use cocoon_protocol::Hash256;
use cocoon_transparency::{
    EMPTY_ROOT, LogHead, ProofError, Tree, TreeError, hash_leaf, hash_node, inclusion_root, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;

fn hash(hex: &str) -> Hash256 {
    hex.parse().unwrap()
}

fn leaf(i: u64) -> Hash256 {
    hash_leaf(&i.to_be_bytes())
}

fn tree(size: u64) -> Tree {
    let mut tree = Tree::default();
    (0..size).for_each(|i| tree.push(leaf(i)));
    tree
}

fn head(tree: &Tree, size: u64) -> LogHead {
    LogHead { size, root: tree.root_at(size).unwrap() }
}

/// MTH of RFC 9162, section 2.1.1, word for word.
fn mth(leaves: &[Hash256]) -> Hash256 {
    match leaves {
        [] => EMPTY_ROOT,
        [one] => *one,
        more => {
            let (left, right) = more.split_at((more.len().next_power_of_two() / 2).max(1));
            hash_node(&mth(left), &mth(right))
        }
    }
}

/// The leaves of the test vectors of RFC 6962's reference implementation.
fn known() -> Tree {
    let mut tree = Tree::default();
    for leaf in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"] {
        tree.push(hash_leaf(&hex::decode(leaf).unwrap()));
    }
    tree
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let tree = known();
    for (size, root) in (0..).zip(roots) {
        assert_eq!(tree.root_at(size).unwrap(), hash(root), "size {size}");
    }
}

#[test]
fn proofs_are_those_of_the_reference_implementation() {
    let a = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    let b = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    let c = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    let d = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    let e = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    let f = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    let g = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    let all = |hashes: &[&str]| hashes.iter().map(|h| hash(h)).collect::<Vec<_>>();
    let tree = known();
    assert_eq!(tree.inclusion(0, 1).unwrap(), all(&[]));
    assert_eq!(tree.inclusion(0, 8).unwrap(), all(&[a, b, c]));
    assert_eq!(tree.inclusion(5, 8).unwrap(), all(&[d, e, f]));
    assert_eq!(tree.consistency(1, 8).unwrap(), all(&[a, b, c]));
    assert_eq!(tree.consistency(6, 8).unwrap(), all(&[g, e, f]));
    assert_eq!(tree.consistency(8, 8).unwrap(), all(&[]));
}

#[test]
fn every_leaf_and_every_prefix_of_every_tree_up_to_70_leaves_is_proven() {
    let leaves: Vec<_> = (0..70).map(leaf).collect();
    let tree = tree(70);
    for size in 0..=70 {
        let now = head(&tree, size);
        assert_eq!(now.root, mth(&leaves[..size as usize]), "size {size}");
        for index in 0..size {
            let path = tree.inclusion(index, size).unwrap();
            verify_inclusion(&now, &leaves[index as usize], index, &path).unwrap();
        }
        for older in 0..=size {
            let path = tree.consistency(older, size).unwrap();
            verify_consistency(&head(&tree, older), &now, &path).unwrap();
        }
    }
}

#[test]
fn a_tree_says_what_it_cannot_prove() {
    let tree = tree(5);
    assert_eq!(tree.root_at(6), Err(TreeError::TooShort { asked: 6, size: 5 }));
    assert_eq!(tree.inclusion(4, 4), Err(TreeError::NotYet { index: 4, size: 4 }));
    assert_eq!(tree.consistency(4, 3), Err(TreeError::Backwards { older: 4, newer: 3 }));
    assert_eq!(tree.inclusion(0, u64::MAX), Err(TreeError::TooShort { asked: u64::MAX, size: 5 }));
}

#[test]
fn an_inner_node_is_no_leaf() {
    // The two leaves of a subtree, shown as one: the byte before what is hashed tells them apart.
    let tree = tree(4);
    let pair = [leaf(0).0, leaf(1).0].concat();
    let path = vec![hash_node(&leaf(2), &leaf(3))];
    let forged = LogHead { size: 2, root: tree.root() };
    assert!(verify_inclusion(&forged, &hash_leaf(&pair), 0, &path).is_err());
}

#[test]
fn a_log_that_took_leaves_back_is_told_so() {
    let tree = tree(9);
    let shrunk = verify_consistency(&head(&tree, 9), &head(&tree, 8), &[]);
    assert_eq!(shrunk, Err(ProofError::Shrunk { older: 9, newer: 8 }));
    let other = LogHead { size: 0, root: leaf(1) };
    assert!(verify_consistency(&other, &head(&tree, 9), &[]).is_err(), "a root for no leaves");
    let fork = LogHead { size: 9, root: leaf(1) };
    assert!(verify_consistency(&fork, &head(&tree, 9), &[]).is_err(), "two roots for one size");
}

#[test]
fn the_largest_sizes_are_no_trouble() {
    let path = vec![leaf(1); 64];
    for (index, length) in [(0, 64), (u64::MAX - 1, 64), (1 << 63, 64)] {
        // Whatever it computes, it ends.
        let _ = inclusion_root(&leaf(0), index, u64::MAX, &path[..length]);
        assert!(inclusion_root(&leaf(0), index, u64::MAX, &[path.as_slice(), &path].concat()).is_err());
    }
    let of = |size| LogHead { size, root: leaf(2) };
    for older in [1, 2, 1 << 63, u64::MAX - 1] {
        assert!(verify_consistency(&of(older), &of(u64::MAX), &path).is_err());
        assert!(verify_consistency(&of(older), &of(u64::MAX), &[]).is_err());
    }
}

/// What a forger does to a path.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Drop(usize),
    Add(usize),
    Swap(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<usize>().prop_map(Change::Drop),
        any::<usize>().prop_map(Change::Add),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

fn changed(path: &[Hash256], change: &Change) -> Vec<Hash256> {
    let mut path = path.to_vec();
    let n = path.len();
    match *change {
        Change::Flip(at, bit) if n > 0 => path[at % n].0[usize::from(bit / 8)] ^= 1 << (bit % 8),
        Change::Drop(at) if n > 0 => drop(path.remove(at % n)),
        Change::Swap(a, b) if n > 0 => path.swap(a % n, b % n),
        Change::Add(at) => path.insert(at % (n + 1), leaf(at as u64)),
        _ => {}
    }
    path
}

proptest! {
    #[test]
    fn a_changed_inclusion_proof_is_refused(size in 1u64..300, index in any::<u64>(), change in change(), other in any::<u64>()) {
        let tree = tree(size);
        let index = index % size;
        let now = head(&tree, size);
        let path = tree.inclusion(index, size).unwrap();
        let forged = changed(&path, &change);
        prop_assert_eq!(verify_inclusion(&now, &leaf(index), index, &forged).is_ok(), forged == path);
        // Of another leaf, at another place, for another size.
        let elsewhere = other % size;
        prop_assert_eq!(verify_inclusion(&now, &leaf(elsewhere), index, &path).is_ok(), elsewhere == index);
        prop_assert_eq!(verify_inclusion(&now, &leaf(index), elsewhere, &path).is_ok(), elsewhere == index);
        prop_assert!(verify_inclusion(&now, &leaf(index), index + size, &path).is_err());
    }

    #[test]
    fn a_changed_consistency_proof_is_refused(newer in 1u64..300, older in any::<u64>(), change in change(), other in any::<u64>()) {
        let tree = tree(newer);
        let older = older % newer + 1;
        let path = tree.consistency(older, newer).unwrap();
        let forged = changed(&path, &change);
        let (before, now) = (head(&tree, older), head(&tree, newer));
        prop_assert_eq!(verify_consistency(&before, &now, &forged).is_ok(), forged == path);
        // A tree that differs in one leaf is no beginning of this one.
        let mut fork = Tree::default();
        let odd = other % older;
        (0..older).for_each(|i| fork.push(if i == odd { leaf(i + 1000) } else { leaf(i) }));
        let fork = LogHead { size: older, root: fork.root() };
        prop_assert!(verify_consistency(&fork, &now, &path).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_lead_somewhere(index in any::<u64>(), size in any::<u64>(), path in prop::collection::vec(any::<[u8; 32]>(), 0..80)) {
        let path: Vec<_> = path.into_iter().map(Hash256).collect();
        let at = |size| LogHead { size, root: leaf(size) };
        let _ = inclusion_root(&leaf(0), index, size, &path);
        let _ = verify_consistency(&at(index), &at(size), &path);
    }
}
