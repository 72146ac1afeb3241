//! Random requests to an endpoint whose answer waits for the store: single and bulk, repeated under
//! their key, mended under their key.

use serde_json::{Value as Json, json};

use super::known::{Known, avoids};
use super::record_shape::Shape;
use super::records::record;
use crate::chance::Chance;
use crate::shape::fields;
use crate::walk::{Post, Step};

const PATH: &str = "/records";

pub fn requests(chance: &mut Chance, shape: &Shape) -> (Json, Vec<Step>) {
    let fields = fields(&shape.declared);
    let mut id = 0;
    let mut steps = Vec::new();
    let mut made: Vec<Post> = Vec::new();
    let good = |chance: &mut Chance, id: &mut i64| {
        *id += 1;
        record(chance, &fields, *id, 0)
    };
    for _ in 0..chance.between(1, 2) {
        let mut posts = Vec::new();
        for _ in 0..chance.between(2, 6) {
            let again = !made.is_empty() && chance.percent(45);
            let post = if again {
                let mut post = chance.pick(&made).clone();
                for body in &mut post.bodies {
                    // What was refused comes mended; sometimes another body stands under the key.
                    let another = chance.percent(20) && !avoids(Known::RefusedBodyUnderKey);
                    if another || body.contains("\"no number\"") {
                        *body = good(chance, &mut id);
                    }
                }
                post
            } else {
                let bulk = chance.percent(60) && !avoids(Known::BulkByPlaceOfGood);
                let count = if bulk { chance.between(1, 4) } else { 1 };
                let bodies = (0..count)
                    .map(|_| {
                        if chance.percent(25) {
                            "{\"id\": \"no number\"}".to_owned()
                        } else {
                            good(chance, &mut id)
                        }
                    })
                    .collect();
                Post { path: PATH.to_owned(), key: format!("k{}", made.len()), bodies, bulk }
            };
            made.push(post.clone());
            posts.push(post);
        }
        steps.push(Step::Posts(posts));
    }
    (
        json!({ format!("POST {PATH}"): { "stored": true, "answer": "SELECT id FROM record" } }),
        steps,
    )
}
