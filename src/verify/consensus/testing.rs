//! Published tables of votes that the tests of this room share. The numbers are facts from the papers.

use super::votes::{VoteTable, VoteTableBuilder};

/// A. P. Dawid and A. M. Skene (1979), table 1: per patient, three ratings by observer 1, one each by observers 2 to 5.
const ANAESTHETISTS: &str = "
    1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223
    2322223 4444444 2223343 1111111 2223212 1211111 1112111 1111111 1111111
    2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222
    1111111 1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343
    2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222
";

/// M. A. Espeland and S. L. Handelman (1989): ratings of a tooth by five dentists (1 sound, 2 carious), and how many teeth
/// were rated so.
pub(super) const CARIES: &str = "
    11111 1880, 11112 789, 11121 43, 11122 75, 11211 23, 11212 63, 11221 8, 11222 22,
    12111 188, 12112 191, 12121 17, 12122 67, 12211 15, 12212 85, 12221 8, 12222 56,
    21111 12, 21112 26, 21121 6, 21122 14, 21211 1, 21212 20, 21221 2, 21222 17,
    22111 2, 22112 20, 22121 6, 22122 27, 22211 3, 22212 72, 22221 1, 22222 100
";

/// Votes `(item, worker, label)` of weight 1; the label `unsure` names no class.
pub(super) fn table_of<S: AsRef<str>>(rows: &[(S, S, S)]) -> VoteTable {
    let mut builder = VoteTableBuilder::new();
    for (item, worker, label) in rows {
        builder.add(item.as_ref(), worker.as_ref(), label.as_ref(), 1.0);
    }
    builder.build(|label| label == "unsure")
}

/// The 315 ratings of 45 patients.
pub(super) fn anaesthetists() -> VoteTable {
    let mut rows = Vec::new();
    for (patient, ratings) in (1..).zip(ANAESTHETISTS.split_whitespace()) {
        for (observer, rating) in ["1", "1", "1", "2", "3", "4", "5"]
            .iter()
            .zip(ratings.chars())
        {
            rows.push((
                format!("{patient}"),
                (*observer).to_owned(),
                rating.to_string(),
            ));
        }
    }
    table_of(&rows)
}

/// The 19,295 ratings of 3,859 teeth; a tooth is named by its ratings and a number.
pub(super) fn caries() -> VoteTable {
    let mut rows = Vec::new();
    for line in CARIES.split(',') {
        let (pattern, teeth) = line.trim().split_once(' ').unwrap();
        for tooth in 0..teeth.parse().unwrap() {
            for (dentist, rating) in ["1", "2", "3", "4", "5"].iter().zip(pattern.chars()) {
                rows.push((
                    format!("{pattern}-{tooth}"),
                    (*dentist).to_owned(),
                    rating.to_string(),
                ));
            }
        }
    }
    table_of(&rows)
}
