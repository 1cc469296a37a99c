// One invocation an item. More items than one row of workgroups can hold spill into further rows.

const WIDTH = 64u;

fn item(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.y * groups.x * WIDTH + id.x;
}
