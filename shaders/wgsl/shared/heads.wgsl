// Access to one head of tensors [tokens, heads, head_dim], head_dim even, that are declared as numbers by two: a vec4 column
// of a head is two pairs, of which the last column may lack the second and padding columns both.
//
// An importing kernel's node has `rows`, `heads`, `head_dim` and `scale`, its query `q` and its output `y`.

/// The head and the first query row of this workgroup.
var<private> head: u32;
var<private> first_row: u32;

/// Indices of a column's pairs, missing ones replaced by the head's last.
fn pairs(token: u32, column: u32) -> vec2<u32> {
    let count = node.head_dim / 2u;
    let at = min(vec2<u32>(column * 2u, column * 2u + 1u), vec2<u32>(count - 1u));
    return vec2<u32>((token * node.heads + head) * count) + at;
}

/// A column from its pairs, missing ones zero.
fn trim(column: u32, first: vec2<f32>, second: vec2<f32>) -> vec4<f32> {
    let there = vec2<bool>(column * 4u < node.head_dim, column * 4u + 2u < node.head_dim);
    return select(vec4<f32>(), vec4<f32>(first, second), there.xxyy);
}

/// A column of a query of this tile, scaled; rows beyond the last repeat it.
fn fetch_plain_query(query: u32, column: u32) -> vec4<f32> {
    let at = pairs(min(first_row + query, node.rows - 1u), column);
    return node.scale * trim(column, load_q(at.x), load_q(at.y));
}

fn store(query: u32, column: u32, value: vec4<f32>) {
    let row = first_row + query;
    let at = pairs(row, column);
    if row < node.rows && column * 4u < node.head_dim {
        store_y(at.x, value.xy);
        if column * 4u + 2u < node.head_dim {
            store_y(at.y, value.zw);
        }
    }
}
