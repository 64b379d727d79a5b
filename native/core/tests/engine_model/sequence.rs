//! Sequences of a least length that shrink below it: first whole stretches go, then what is left becomes simpler.

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;

use super::operations::Operation;

/// Operations of a sequence before it is shrunk.
pub const LENGTH: std::ops::Range<usize> = 50..110;

#[derive(Debug)]
pub struct Sequences(pub BoxedStrategy<Operation>);

impl Strategy for Sequences {
    type Tree = SequenceTree<<BoxedStrategy<Operation> as Strategy>::Tree>;
    type Value = Vec<Operation>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let length = LENGTH.new_tree(runner)?.current();
        let trees = (0..length).map(|_| self.0.new_tree(runner)).collect::<Result<Vec<_>, _>>()?;
        Ok(SequenceTree { kept: vec![true; trees.len()], stretch: trees.len(), trees, at: 0, last: Last::Nothing })
    }
}

/// What [`ValueTree::simplify`] did last, and [`ValueTree::complicate`] takes back.
enum Last {
    Nothing,
    Removed(Vec<usize>),
    Simplified(usize),
}

pub struct SequenceTree<T> {
    trees: Vec<T>,
    kept: Vec<bool>,
    /// Operations that are tried to be removed together; 0 once they are made simpler one by one.
    stretch: usize,
    at: usize,
    last: Last,
}

impl<T: ValueTree> SequenceTree<T> {
    fn remaining(&self) -> Vec<usize> {
        (0..self.trees.len()).filter(|&i| self.kept[i]).collect()
    }

    /// Removes the next stretch of what is kept; false when single operations were tried, too.
    fn remove(&mut self) -> bool {
        while self.stretch > 0 {
            let remaining = self.remaining();
            let chosen: Vec<usize> = remaining.iter().copied().filter(|&i| i >= self.at).take(self.stretch).collect();
            if let Some(&last) = chosen.last() {
                self.at = last + 1;
                chosen.iter().for_each(|&i| self.kept[i] = false);
                self.last = Last::Removed(chosen);
                return true;
            }
            self.at = 0;
            self.stretch /= 2;
        }
        false
    }
}

impl<T: ValueTree<Value = Operation>> ValueTree for SequenceTree<T> {
    type Value = Vec<Operation>;

    fn current(&self) -> Vec<Operation> {
        self.remaining().into_iter().map(|i| self.trees[i].current()).collect()
    }

    fn simplify(&mut self) -> bool {
        if self.remove() {
            return true;
        }
        while self.at < self.trees.len() {
            if self.kept[self.at] && self.trees[self.at].simplify() {
                self.last = Last::Simplified(self.at);
                return true;
            }
            self.at += 1;
        }
        false
    }

    fn complicate(&mut self) -> bool {
        match std::mem::replace(&mut self.last, Last::Nothing) {
            Last::Nothing => false,
            Last::Removed(chosen) => {
                chosen.iter().for_each(|&i| self.kept[i] = true);
                true
            }
            Last::Simplified(i) if self.trees[i].complicate() => {
                self.last = Last::Simplified(i);
                true
            }
            Last::Simplified(_) => false,
        }
    }
}
