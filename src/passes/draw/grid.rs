//! The grid of a drawing: the row and column of each box, and the routes of the lines between them.
//!
//! A box is in the first row below all boxes that it reads. Boxes are connected to chains: a box continues the chain of
//! a box that it reads, if no other box has continued that chain before. A chain has one column. Beside the first chain
//! there are branches, such as a convolution in a shortcut; a branch is in the first column that is free from its fork
//! to its join. A line that neither continues, begins nor ends a chain is in a lane: a vertical track to the right of a
//! column.
use crate::base::sorting::sort_by_key;

/// A line of the drawing, from a box to a box that reads its value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Edge {
    /// Index of the upper box.
    pub(super) from: usize,
    /// Index of the lower box.
    pub(super) to: usize,
}

/// The route of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// Straight down.
    Straight,
    /// To the column of the lower box, then down.
    Fork,
    /// Down to the lower box, then to its column.
    Join,
    /// In a lane of this number to the right of a column. Lane 0 is next to the boxes.
    Lane {
        /// Column whose boxes are to the left of the lane.
        column: usize,
        /// Number of the lane.
        lane: usize,
    },
}

/// The places of all boxes, and the routes of all lines.
#[derive(Debug)]
pub(super) struct Grid {
    /// Row of each box.
    pub(super) rows: Vec<usize>,
    /// Column of each box.
    pub(super) columns: Vec<usize>,
    /// Lines with their routes.
    pub(super) edges: Vec<(Edge, Route)>,
    /// Number of lanes to the right of each column.
    pub(super) n_lanes: Vec<usize>,
}

/// Boxes that continue each other, from the first to the last.
struct Chain {
    boxes: Vec<usize>,
    /// Index of the chain from which this one forks.
    parent: usize,
}

impl Grid {
    /// Places boxes whose lines are `edges`. A line goes from a box to a box of a larger index. `blocks` has the name
    /// of each box's block of layers.
    pub(super) fn new(blocks: &[&str], edges: &[Edge]) -> Self {
        let n = blocks.len();
        let (mut readers, mut reads) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        for &Edge { from, to } in edges {
            readers[from].push(to);
            reads[to].push(from);
        }
        let rows = rows(&reads);
        let next = continuations(&readers);
        let chains = chains(&reads, &next);
        let chain_columns = columns(blocks, &chains, &rows, &reads, &readers);
        let mut columns = vec![0; n];
        let mut before = vec![None; n];
        let mut is_last = vec![false; n];
        for (Chain { boxes, .. }, &column) in chains.iter().zip(&chain_columns) {
            boxes.iter().for_each(|&ix| columns[ix] = column);
            boxes.windows(2).for_each(|pair| before[pair[1]] = Some(pair[0]));
            is_last[boxes[boxes.len() - 1]] = true;
        }
        let route = |&edge: &Edge| {
            let Edge { from, to } = edge;
            let changes_column = columns[from] != columns[to];
            let route = match before[to] {
                Some(before) if before == from => Route::Straight,
                None if changes_column => Route::Fork,
                Some(_) if changes_column && is_last[from] => Route::Join,
                // The lane is on the side of the branch, which is the right one of the two columns.
                _ => Route::Lane { column: columns[from].max(columns[to]), lane: 0 },
            };
            (edge, route)
        };
        let edges = edges.iter().map(route).collect();
        let n_columns = columns.iter().max().map_or(1, |most| most + 1);
        let mut grid = Self { rows, columns, edges, n_lanes: vec![0; n_columns] };
        grid.choose_lanes();
        grid
    }

    /// Chooses the lanes. Lines that overlap have different lanes, except if they come from one box. The shorter lines
    /// are nearer to the boxes.
    fn choose_lanes(&mut self) {
        let Self { rows, edges, n_lanes, .. } = self;
        sort_by_key(edges, |(edge, _)| (rows[edge.to] - rows[edge.from], *edge));
        let mut done: Vec<(Edge, usize, usize)> = Vec::new();
        for (edge, route) in edges {
            let Route::Lane { column, lane } = route else { continue };
            let overlaps = |&&(other, in_column, _): &&(Edge, usize, usize)| {
                in_column == *column
                    && other.from != edge.from
                    && rows[other.from] < rows[edge.to]
                    && rows[edge.from] < rows[other.to]
            };
            let taken: Vec<usize> = done.iter().filter(overlaps).map(|&(.., lane)| lane).collect();
            *lane = (0..).find(|lane| !taken.contains(lane)).expect("an endless range");
            n_lanes[*column] = n_lanes[*column].max(*lane + 1);
            done.push((*edge, *column, *lane));
        }
    }
}

/// Returns the row of each box. A box that reads no other is below the box before it.
fn rows(reads: &[Vec<usize>]) -> Vec<usize> {
    let mut rows: Vec<usize> = Vec::with_capacity(reads.len());
    for (ix, sources) in reads.iter().enumerate() {
        let before = sources.iter().map(|&source| rows[source]).max();
        rows.push(before.or(ix.checked_sub(1).map(|ix| rows[ix])).map_or(0, |row| row + 1));
    }
    rows
}

/// Returns, for each box, the box that continues its chain: the first reader, but no reader from which the end of the
/// network is much nearer than from another. Such a reader is an auxiliary head.
fn continuations(readers: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut heights = vec![0; readers.len()];
    for ix in (0..readers.len()).rev() {
        heights[ix] = readers[ix].iter().map(|&to| heights[to] + 1).max().unwrap_or(0);
    }
    let next = |(ix, readers): (usize, &Vec<usize>)| {
        readers.iter().copied().find(|&to| 3 * (heights[to] + 1) >= 2 * heights[ix])
    };
    readers.iter().enumerate().map(next).collect()
}

/// Returns the chains, in the order of their first boxes.
fn chains(reads: &[Vec<usize>], next: &[Option<usize>]) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut chain_of: Vec<usize> = Vec::with_capacity(reads.len());
    for (ix, sources) in reads.iter().enumerate() {
        let continued = sources.iter().filter(|&&source| next[source] == Some(ix));
        let chain = continued.map(|&source| chain_of[source]).min().unwrap_or_else(|| {
            let parent = sources.iter().map(|&source| chain_of[source]).max().unwrap_or(0);
            chains.push(Chain { boxes: Vec::new(), parent });
            chains.len() - 1
        });
        chains[chain].boxes.push(ix);
        chain_of.push(chain);
    }
    chains
}

/// Returns the column of each chain. Branches that do not join another chain in their block of layers, such as auxiliary
/// heads, are to the right of all others.
fn columns(
    blocks: &[&str],
    chains: &[Chain],
    rows: &[usize],
    reads: &[Vec<usize>],
    readers: &[Vec<usize>],
) -> Vec<usize> {
    let mut columns = vec![0; chains.len()];
    let mut taken: Vec<Vec<[usize; 2]>> = vec![Vec::new()];
    let mut is_long = vec![false; chains.len()];
    for (ix, chain) in chains.iter().enumerate().skip(1) {
        let (first, last) = (chain.boxes[0], chain.boxes[chain.boxes.len() - 1]);
        let stays = |&ix: &usize| blocks[ix] == blocks[first];
        let joins = stays(&last) && !readers[last].is_empty() && readers[last].iter().all(stays);
        is_long[ix] = !joins || is_long[chain.parent];
    }
    let (long, short): (Vec<_>, Vec<_>) = (1..chains.len()).partition(|&ix| is_long[ix]);
    for ix in short.into_iter().chain(long) {
        let Chain { boxes, parent } = &chains[ix];
        let (first, last) = (boxes[0], boxes[boxes.len() - 1]);
        let start = reads[first].iter().map(|&from| rows[from] + 1).min().unwrap_or(rows[first]);
        let ends = readers[last].iter().map(|&to| rows[to] - 1);
        let end = ends.max().unwrap_or(0).max(rows[last]);
        let is_free = |column: &usize| match taken.get(*column) {
            Some(taken) => taken.iter().all(|&[from, to]| end < from || to < start),
            None => true,
        };
        let column = (columns[*parent] + 1..).find(is_free).expect("an endless range");
        taken.resize(taken.len().max(column + 1), Vec::new());
        taken[column].push([start, end]);
        columns[ix] = column;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the grid of boxes that are in one block of layers.
    fn grid(edges: &[[usize; 2]]) -> Grid {
        let n = edges.iter().flatten().max().expect("edges") + 1;
        Grid::new(&vec![""; n], &lines(edges))
    }

    fn lines(edges: &[[usize; 2]]) -> Vec<Edge> {
        edges.iter().map(|&[from, to]| Edge { from, to }).collect()
    }

    fn route(grid: &Grid, edge: [usize; 2]) -> Route {
        let is_it = |(found, _): &&(Edge, Route)| [found.from, found.to] == edge;
        grid.edges.iter().find(is_it).expect("an edge").1
    }

    #[test]
    fn a_residual_is_in_a_lane() {
        let grid = grid(&[[0, 1], [1, 2], [0, 2], [2, 3], [3, 4], [2, 4]]);
        assert_eq!((&*grid.rows, &*grid.columns), (&[0, 1, 2, 3, 4][..], &[0; 5][..]));
        assert_eq!(route(&grid, [0, 1]), Route::Straight);
        // One residual ends where the next begins, so one lane is enough.
        for edge in [[0, 2], [2, 4]] {
            assert_eq!(route(&grid, edge), Route::Lane { column: 0, lane: 0 });
        }
        assert_eq!(grid.n_lanes, [1]);
    }

    #[test]
    fn branches_stand_side_by_side() {
        // Box 0 forks to 1, to 2 and 3, and to 4 and 5; box 6 joins them. Then the same again from box 6.
        let module = |x: usize| {
            [[0, 1], [0, 2], [2, 3], [0, 4], [4, 5], [1, 6], [3, 6], [5, 6]]
                .map(|edge: [usize; 2]| edge.map(|ix| ix + x))
        };
        let grid = grid(&[module(0), module(6)].concat());
        assert_eq!(grid.rows, [0, 1, 1, 2, 1, 2, 3, 4, 4, 5, 4, 5, 6]);
        assert_eq!(grid.columns, [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 0]);
        assert_eq!(route(&grid, [0, 2]), Route::Fork);
        assert_eq!(route(&grid, [3, 6]), Route::Join);
        assert_eq!(grid.n_lanes, [0; 3]);
    }

    #[test]
    fn a_branch_of_a_branch_is_next_to_it() {
        // Box 0 forks to 1 and to 4. Box 1 forks to 2 and 3. Box 5 joins 2, 3 and 4.
        let grid = grid(&[[0, 1], [1, 2], [1, 3], [0, 4], [2, 5], [3, 5], [4, 5]]);
        assert_eq!(grid.columns, [0, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn a_short_end_that_comes_first_is_a_branch() {
        // Box 1 begins an auxiliary head, which box 2 ends. The network goes on with boxes 3 to 8; box 9 joins both.
        let mut edges = vec![[0, 1], [1, 2], [0, 3], [2, 9]];
        edges.extend((3..9).map(|ix| [ix, ix + 1]));
        // Boxes 3 and 5 are the ends of a branch that is beside the head.
        edges.push([3, 5]);
        let blocks = ["", "head", "head", "", "", "", "", "", "", ""];
        let grid = Grid::new(&blocks, &lines(&edges));
        assert_eq!(grid.columns, [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(route(&grid, [2, 9]), Route::Join);
    }

    #[test]
    fn a_branch_without_a_join_is_to_the_right_of_the_others() {
        // Boxes 1 and 2 are an auxiliary head. Boxes 3 to 6 have a branch, box 5, that stands beside the head.
        let mut edges = vec![[0, 1], [1, 2], [0, 3], [3, 4], [3, 5], [4, 6], [5, 6]];
        edges.extend((6..12).map(|ix| [ix, ix + 1]));
        assert_eq!(grid(&edges).columns[..7], [0, 2, 2, 0, 0, 1, 0]);
    }

    #[test]
    fn lines_that_overlap_have_different_lanes_unless_they_come_from_one_box() {
        let chain = |n: usize| (0..n).map(|ix| [ix, ix + 1]);
        let edges: Vec<_> = chain(6).chain([[0, 3], [2, 5], [2, 6]]).collect();
        let grid = grid(&edges);
        let lanes = [[0, 3], [2, 5], [2, 6]].map(|edge| route(&grid, edge));
        assert_eq!(lanes, [0, 1, 1].map(|lane| Route::Lane { column: 0, lane }));
        assert_eq!(grid.n_lanes, [2]);
    }
}
