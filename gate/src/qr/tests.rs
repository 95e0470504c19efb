use super::{Matrix, QUIET_MODULES, QrError, TEXT_CHARS_MAX};

#[test]
fn a_credential_is_a_square_of_41_modules() {
    let credential = format!("TK{}", "A7Z2".repeat(38));
    assert_eq!(credential.len(), 154);
    assert_eq!(Matrix::new(&credential).expect("drawn").side(), 41);
    let live = format!("{credential}.12345678");
    assert_eq!(Matrix::new(&live).expect("drawn").side(), 45);
}

#[test]
fn only_the_alphanumeric_set_is_drawn() {
    assert!(matches!(Matrix::new("lower"), Err(QrError::Alphabet)));
    assert!(matches!(Matrix::new("Ä"), Err(QrError::Alphabet)));
    assert!(matches!(Matrix::new(&"A".repeat(TEXT_CHARS_MAX + 1)), Err(QrError::TooLong)));
    assert!(Matrix::new(&"A".repeat(TEXT_CHARS_MAX)).is_ok());
}

#[test]
fn every_form_has_its_quiet_zone() {
    let matrix = Matrix::new("TKABC").expect("drawn");
    let outer = matrix.side() + 2 * QUIET_MODULES;
    for k in 0..outer {
        for edge in 0..QUIET_MODULES {
            for (x, y) in [(k, edge), (edge, k), (k, outer - 1 - edge), (outer - 1 - edge, k)] {
                assert!(!matrix.dark(x, y), "{x},{y} is dark");
            }
        }
    }
    assert!(matrix.dark(QUIET_MODULES, QUIET_MODULES), "the finder pattern's corner is dark");
    assert!(matrix.svg().contains(&format!("viewBox=\"0 0 {outer} {outer}\"")));
    let lines: Vec<String> = matrix.terminal().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), outer.div_ceil(2));
    assert!(lines[0].chars().all(|c| !"█▀▄".contains(c)));
}

#[test]
fn a_png_decodes_to_the_same_modules() {
    let matrix = Matrix::new("TKABC").expect("drawn");
    let bytes = matrix.png().expect("encoded");
    let mut reader =
        png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG header");
    let mut pixels = vec![0; reader.output_buffer_size().expect("size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    let outer = matrix.side() + 2 * QUIET_MODULES;
    assert_eq!(info.width as usize, outer * super::MODULE_PIXELS);
    for y in 0..outer {
        for x in 0..outer {
            let at =
                (y * super::MODULE_PIXELS + 3) * info.width as usize + x * super::MODULE_PIXELS + 3;
            assert_eq!(pixels[at] == 0, matrix.dark(x, y));
        }
    }
}
