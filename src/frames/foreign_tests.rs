//! Tables that other programs wrote: `tests/corpus/parquet/kinds.py` makes the file, two row groups of it.
use super::*;
use baseload_core::types::TimeUnit;
use std::path::Path;

fn kinds() -> TableFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/parquet/kinds.parquet");
    TableFile::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn column(name: &str) -> ReadColumn {
    kinds().whole_column(name).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn decimals_are_whole_numbers_where_they_are_whole_and_numbers_always() {
    assert_eq!(kinds().groups(), [2, 1]);
    assert_eq!(column("in").whole(), Ok(vec![Some(100u32), Some(2_000), Some(30_000)]));
    assert_eq!(column("out").whole(), Ok(vec![Some(1u32), Some(22), Some(333)]));
    assert_eq!(column("price").numbers(), Ok(vec![Some(0.00125), None, Some(-1.5)]));
    let wrong = column("price").whole::<u32>().unwrap_err();
    assert!(
        wrong.clone().fault().to_string().starts_with("column `price` is 0.00125; it must be a whole number"),
        "{wrong:?}"
    );
    assert_eq!(column("price").holds(), "decimals (20 digits, 5 behind the point)");
}

#[test]
fn timestamps_and_dates_are_times_whatever_unit_is_said() {
    let at = vec![Some(1_780_300_800_120_000_000), None, Some(1_780_300_802_000_000_000)];
    for unit in [TimeUnit::Seconds, TimeUnit::Iso8601] {
        assert_eq!(column("when").times(unit), Ok(at.clone()));
        assert_eq!(column("zoned").times(unit), Ok(at.clone()), "the zone says how it is shown");
    }
    assert_eq!(column("day").times(TimeUnit::Millis).unwrap()[0], Some(86_400_000_000_000));
    assert_eq!(
        column("when").whole::<u64>().unwrap_err().fault().to_string(),
        "column `when` holds timestamps; it must hold whole numbers"
    );
}

#[test]
fn texts_small_numbers_and_lists_are_read_as_they_are() {
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(column("team").texts(), Ok(vec![text("red"), None, text("blue")]), "a dictionary is text");
    assert_eq!(column("large").texts(), Ok(vec![text("a"), text("b"), None]));
    assert_eq!(column("small").whole(), Ok(vec![Some(1u32), Some(2), None]));
    assert_eq!(column("single").numbers(), Ok(vec![Some(0.5), None, Some(1.5)]));
    assert_eq!(column("flag").flags(), Ok(vec![Some(true), None, Some(false)]));
    assert_eq!(column("nothing").whole::<u32>(), Ok(vec![None; 3]));
    assert_eq!(column("lists").lists::<u32>(), Ok((vec![0, 2, 2, 3], vec![1, 2, 3])));
}

#[test]
fn what_cannot_be_read_is_a_message_with_the_column_and_its_row() {
    let empty = column("gaps").lists::<u64>().unwrap_err();
    assert_eq!((empty.row, empty.what.contains("column `gaps` has an empty field")), (1, true), "{empty:?}");
    let bytes = column("bytes").texts().unwrap_err();
    assert_eq!((bytes.row, bytes.what.as_str()), (2, "column `bytes` has bytes that are no UTF-8"));
    assert_eq!(
        column("pair").numbers().unwrap_err().fault().to_string(),
        "column `pair` holds structs; it must hold numbers"
    );
    let codec = kinds().whole_column("brotli").err().unwrap().what;
    assert!(
        codec.starts_with("column `brotli` cannot be read (") && codec.to_lowercase().contains("brotli"),
        "{codec}"
    );
}
