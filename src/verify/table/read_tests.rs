use std::io::Write;

use super::*;

fn file(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file
}

fn votes(content: impl AsRef<[u8]>) -> Result<VotesRead, TableError> {
    read_votes(file(content).path(), &Vocabulary::default(), |_| {})
}

/// The error without the name of the file.
fn problem(content: impl AsRef<[u8]>) -> String {
    let text = votes(content).unwrap_err().to_string();
    text.split_once('`')
        .unwrap()
        .1
        .split_once('`')
        .unwrap()
        .1
        .to_owned()
}

const PLAIN: &str = "item,worker,label\n1,a,x\n2,a,y\n1,b,x\n";

#[test]
fn the_same_table_in_many_guises() {
    let plain = votes(PLAIN).unwrap();
    assert_eq!(plain.table.given(), 3);
    for guise in [
        "\u{feff}item,worker,label\n1,a,x\n2,a,y\n1,b,x\n",
        "item;worker;label\r\n1;a;x\r\n2;a;y\r\n1;b;x\r\n",
        "item\tworker\tlabel\n1\ta\tx\n2\ta\ty\n1\tb\tx",
        "Label, Rater ,ITEM,seconds\nx,b,1,4\ny,a,2,\nx, a,1,2.5\n",
        "# votes\n\nitem,worker,rating\n2,a,y\n\n\"1\",a,\"x\"\n1,b,x\n# The licence stands last.\n",
    ] {
        assert_eq!(votes(guise).unwrap(), plain, "{guise}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (content, expected) in [
        (
            "",
            ": the file is empty; the first line should name the columns, among them `item`",
        ),
        (
            "item,worker,label\n",
            " holds no votes; give one per line under the header",
        ),
        (
            "item,who,label\n1,a,x\n",
            ": no column is called `worker` or `rater`; the first line names `item`, `who`, `label`",
        ),
        (
            "item,worker,label,item\n1,a,x,2\n",
            ": two columns are called `item`; rename one",
        ),
        (
            "item,worker,label\n1,a,x\n2,a\n",
            ", line 3: 2 fields where the first line has 3; put text with separators in quotes",
        ),
        (
            "item,worker,label\r\n1,a,x\r\n2, ,x\r\n",
            ", line 3: `worker` is empty; fill it in or remove the line",
        ),
        (
            "item,worker,label\n1,a,x\n\n# note\n2, ,x\n",
            ", line 5: `worker` is empty; fill it in or remove the line",
        ),
        (
            "item,worker,label\n\"1\n\",a,x\n2,,x\n",
            ", line 4: `worker` is empty; fill it in or remove the line",
        ),
    ] {
        assert_eq!(problem(content), expected, "{content}");
    }
    assert_eq!(
        problem(b"item,worker,label\n1,a,x\n2,a,\xff\n"),
        ", line 3: the text is not UTF-8; save the table as UTF-8"
    );
    let missing = read_votes(Path::new("missing.csv"), &Vocabulary::default(), |_| {});
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .starts_with("cannot read `missing.csv`: ")
    );
    let folder = read_votes(Path::new("/"), &Vocabulary::default(), |_| {});
    assert!(matches!(folder, Err(TableError::Read { .. })));
}

#[test]
fn answers_without_a_class_and_bad_images_are_told_apart() {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let vocabulary = Vocabulary {
        unsure: words(&["maybe", "dunno"]),
        bad_image: words(&["cloud"]),
    };
    let file = file("item,worker,label\n1,a,yes\n1,b,maybe\n2,a,cloud\n2,b,no\n3,b,cloud\n");
    let read = read_votes(file.path(), &vocabulary, |_| {}).unwrap();
    assert_eq!(read.table.class_names(), ["no", "yes"]);
    assert_eq!(read.table.labels(), ["no", "yes", "maybe"]);
    assert_eq!(read.table.items(), ["1", "2", "3"]);
    assert_eq!((read.table.given(), read.bad_image), (3, 2));
    assert_eq!(read.unused, ["dunno"]);
}

#[test]
fn truth_has_to_speak_of_the_same_things_and_of_one_mind() {
    let table = votes(PLAIN).unwrap().table;
    let truth =
        |content: &str| read_truth(file(content).path(), &table).map_err(|error| error.to_string());
    let read = truth("item,truth\n2,x\n1,y\n1,y\n9,x\n").unwrap();
    assert_eq!(read.labels.len(), 3);
    assert_eq!(truth("item,label\n2,x\n1,y\n9,x\n").unwrap(), read);
    for (content, expected) in [
        (
            "item,truth\n1,x\n2,y\n1,y\n",
            "line 4: item `1` is `y` here and `x` above; keep one",
        ),
        (
            "item,truth\n",
            "holds no true labels; give one per line under the header",
        ),
        (
            "item,truth\n8,x\n",
            "none of its items occurs in the votes; check that both files name them alike",
        ),
        (
            "item,truth\n1,kiln\n",
            "none of its labels occurs in the votes; check that both files name them alike",
        ),
    ] {
        let error = truth(content).unwrap_err();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn progress_is_told_in_bytes() {
    let rows: Vec<String> = (0..20_000).map(|row| format!("{row},a,x\n")).collect();
    let content = format!("item,worker,label\n{}", rows.concat());
    let mut told = 0;
    read_votes(file(&content).path(), &Vocabulary::default(), |bytes| {
        told += bytes;
    })
    .unwrap();
    assert!(told > 0 && told <= content.len() as u64);
}
