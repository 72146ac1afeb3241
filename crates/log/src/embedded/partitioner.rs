//! Which partition a key goes to: as Kafka's Java client decides it, so that keys keep their
//! partition when a system moves to Kafka.

/// The partition of a key among `partitions`.
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    // Both sides are below 2^31.
    (positive % partitions.max(1).cast_unsigned()).cast_signed()
}

/// Murmur2 with 32 bits and the seed that Kafka uses.
fn murmur2(bytes: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ (bytes.len() as u32);
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> SHIFT;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own tests (`UtilsTest.testMurmur2`).
    #[test]
    fn hashes_as_kafka_does() {
        let cases = [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn stays_within_the_partitions() {
        for partitions in [1, 2, 3, 4, 7, 1000] {
            for number in 0..500 {
                let partition = partition_of_key(format!("key {number}").as_bytes(), partitions);
                assert!(
                    (0..partitions).contains(&partition),
                    "{number} of {partitions}: {partition}"
                );
            }
        }
    }
}
