//! H.264 from the encoder's form (Annex B: start codes between the units) to the file's (a length before each unit).

/// Units that carry parameters, by the type in their first byte.
const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;
/// Delimits pictures in a stream; the file's tables do that.
const DELIMITER: u8 = 9;
/// What precedes each unit in the file.
pub const LENGTH_BYTES: usize = 4;
/// Profiles from here on describe their colours in the file's header too.
const PROFILES_WITH_COLOUR: [u8; 4] = [100, 110, 122, 144];

/// What a decoder needs before the first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    pub sequence: Vec<u8>,
    pub picture: Vec<u8>,
}

/// The units of an access unit in Annex B.
fn units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data);
    std::iter::from_fn(move || {
        let from = rest?;
        let end = from.windows(3).position(|window| window == [0, 0, 1]).unwrap_or(from.len());
        rest = after_start_code(&from[end..]);
        // A start code of four bytes and padding: zeros that belong to no unit.
        let kept = from[..end].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&from[..kept])
    })
    .filter(|unit| !unit.is_empty())
}

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    data.windows(3).position(|window| window == [0, 0, 1]).map(|at| &data[at + 3..])
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| byte & 0x1f)
}

/// Appends the access unit in the file's form. The parameter sets that it carries stay in it, in front.
pub fn append(out: &mut Vec<u8>, annex_b: &[u8]) -> Option<ParameterSets> {
    let mut sets = ParameterSets { sequence: Vec::new(), picture: Vec::new() };
    for unit in units(annex_b).filter(|unit| kind(unit) != DELIMITER) {
        match kind(unit) {
            SEQUENCE_PARAMETERS => sets.sequence = unit.to_vec(),
            PICTURE_PARAMETERS => sets.picture = unit.to_vec(),
            _ => {}
        }
        super::boxes::u32s(out, &[super::boxes::length(unit)]);
        out.extend(unit);
    }
    (sets.sequence.len() >= 4 && !sets.picture.is_empty()).then_some(sets)
}

/// The parameter sets at the head of a picture in the file's form, and how many bytes they take there.
pub fn leading(sample: &[u8]) -> Option<(ParameterSets, usize)> {
    let mut sets = ParameterSets { sequence: Vec::new(), picture: Vec::new() };
    let mut at = 0;
    while let Some(length) = super::boxes::u32_at(sample, at) {
        let Some(unit) = sample.get(at + LENGTH_BYTES..at + LENGTH_BYTES + length as usize) else { break };
        match kind(unit) {
            SEQUENCE_PARAMETERS => sets.sequence = unit.to_vec(),
            PICTURE_PARAMETERS => sets.picture = unit.to_vec(),
            _ => break,
        }
        at += LENGTH_BYTES + unit.len();
    }
    (sets.sequence.len() >= 4 && !sets.picture.is_empty()).then_some((sets, at))
}

impl ParameterSets {
    /// The body of `avcC`.
    pub fn configuration(&self) -> Vec<u8> {
        let profile = self.sequence[1];
        let mut out = vec![1, profile, self.sequence[2], self.sequence[3], 0xff, 0xe1];
        for (count, set) in [(None, &self.sequence), (Some(1), &self.picture)] {
            out.extend(count);
            super::boxes::u16s(&mut out, &[u16::try_from(set.len()).unwrap_or(u16::MAX)]);
            out.extend(set);
        }
        if PROFILES_WITH_COLOUR.contains(&profile) {
            // 4:2:0, eight bits: all that the screen encodes.
            out.extend([0xfd, 0xf8, 0xf8, 0]);
        }
        out
    }

    /// Reads what `configuration` wrote.
    pub fn from_configuration(body: &[u8]) -> Option<ParameterSets> {
        let set = |at: usize| body.get(at + 2..at + 2 + usize::from(super::boxes::u16_at(body, at)?));
        let sequence = set(6)?.to_vec();
        let picture = set(6 + 2 + sequence.len() + 1)?.to_vec();
        Some(ParameterSets { sequence, picture })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_lose_start_codes_and_padding_and_nothing_else() {
        let stream = [0, 0, 0, 1, 9, 16, 0, 0, 0, 1, 0x67, 66, 0, 31, 0, 0, 1, 0x68, 5, 0, 0, 0, 1, 0x65, 0, 0, 3, 1];
        let mut out = Vec::new();
        let sets = append(&mut out, &stream).expect("sets");
        assert_eq!(sets.sequence, [0x67, 66, 0, 31]);
        assert_eq!(sets.picture, [0x68, 5]);
        assert_eq!(
            out,
            [0, 0, 0, 4, 0x67, 66, 0, 31, 0, 0, 0, 2, 0x68, 5, 0, 0, 0, 5, 0x65, 0, 0, 3, 1],
            "the delimiter is gone"
        );
        assert_eq!(leading(&out), Some((sets.clone(), 14)));
        assert_eq!(ParameterSets::from_configuration(&sets.configuration()), Some(sets));
    }

    #[test]
    fn what_is_no_stream_gives_nothing() {
        let mut out = Vec::new();
        assert_eq!(append(&mut out, &[0, 0, 0]), None);
        assert_eq!(append(&mut out, &[0, 0, 1]), None);
        assert!(out.is_empty());
        assert_eq!(leading(&[0, 0, 0, 9, 0x67]), None);
    }
}
