// Queries and key means as their products rank frames: both after temporal rotation; with plain means, those as they are and queries without
// their spatial rotation.
//
// An importing kernel has `load_q`, `rotations` and `spatial`; its node has `plain`, `tokens`, `heads`, `head_dim`, `temporal_pairs`, `max_history`.

/// `value` times the rotation at `pair` of a table's row; as it is where means are plain.
fn turn(value: vec2<f32>, row: u32, pair: u32) -> vec2<f32> {
    if pair >= node.temporal_pairs || node.plain == 1u {
        return value;
    }
    let a = rotations[row * node.temporal_pairs + pair];
    return vec2<f32>(value.x * a.x - value.y * a.y, value.x * a.y + value.y * a.x);
}

/// The query of row `row` at `pair`, as it is multiplied.
fn query_at(row: u32, head: u32, pair: u32) -> vec2<f32> {
    let pairs = node.head_dim / 2u;
    let value = load_q((row * node.heads + head) * pairs + pair);
    if node.plain == 0u || pair < node.temporal_pairs {
        // conj(back) * to on the query is `to` on the query and `back` on the mean.
        return turn(value, node.max_history + row / node.tokens, pair);
    }
    let a = spatial[row % node.tokens * (pairs - node.temporal_pairs) + pair - node.temporal_pairs];
    return vec2<f32>(value.x * a.x + value.y * a.y, value.y * a.x - value.x * a.y);
}
