//! QR codes of credentials: alphanumeric mode, level M, quiet zone of 4 modules, as SVG, PNG and
//! terminal text. Knows nothing of what the text means.

use std::fmt::Write as _;

use fast_qr::{ECL, Mode, QRBuilder};

/// Light modules around the code (ISO/IEC 18004 asks for 4).
const QUIET_MODULES: usize = 4;
/// Edge of one module in a PNG, in pixels.
const MODULE_PIXELS: usize = 8;
/// Most characters drawn; a level M code of version 12 holds 419.
pub const TEXT_CHARS_MAX: usize = 400;

#[derive(Debug, thiserror::Error)]
pub enum QrError {
    #[error("only 0–9, A–Z, space and $%*+-./: can be drawn")]
    Alphabet,
    #[error("more than {TEXT_CHARS_MAX} characters cannot be drawn")]
    TooLong,
    #[error("the code could not be built: {0}")]
    Build(String),
}

/// A square of modules, without the quiet zone.
pub struct Matrix {
    side: usize,
    dark: Vec<bool>,
}

impl Matrix {
    /// Encodes `text` in alphanumeric mode at level M, in the smallest version that holds it.
    pub fn new(text: &str) -> Result<Self, QrError> {
        if text.len() > TEXT_CHARS_MAX {
            return Err(QrError::TooLong);
        }
        if !text.bytes().all(alphanumeric) {
            return Err(QrError::Alphabet);
        }
        let code = QRBuilder::new(text)
            .mode(Mode::Alphanumeric)
            .ecl(ECL::M)
            .build()
            .map_err(|error| QrError::Build(format!("{error:?}")))?;
        let modules = code.size.saturating_mul(code.size);
        let dark = code.data.iter().take(modules).map(|module| module.value()).collect();
        Ok(Self { side: code.size, dark })
    }

    /// Modules along one edge: 41 for a credential.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether the module is dark, in coordinates that include the quiet zone.
    fn dark(&self, x: usize, y: usize) -> bool {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET_MODULES), y.checked_sub(QUIET_MODULES))
        else {
            return false;
        };
        if x >= self.side || y >= self.side {
            return false;
        }
        let index = y.saturating_mul(self.side).saturating_add(x);
        self.dark.get(index).copied().unwrap_or(false)
    }

    /// Modules along one edge with the quiet zone.
    fn outer(&self) -> usize {
        self.side.saturating_add(QUIET_MODULES.saturating_mul(2))
    }

    /// An SVG document, one unit a module, scalable to any size.
    pub fn svg(&self) -> String {
        let outer = self.outer();
        let mut path = String::new();
        for y in 0..outer {
            for x in 0..outer {
                if self.dark(x, y) {
                    // Writing to a String cannot fail.
                    let _ = write!(path, "M{x} {y}h1v1h-1z");
                }
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {outer} {outer}\" \
             shape-rendering=\"crispEdges\"><rect width=\"{outer}\" height=\"{outer}\" \
             fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>\n"
        )
    }

    /// An 8-bit grey PNG, `MODULE_PIXELS` a module.
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let edge = self.outer().saturating_mul(MODULE_PIXELS);
        let mut pixels = Vec::with_capacity(edge.saturating_mul(edge));
        for y in 0..edge {
            for x in 0..edge {
                let dark = self.dark(x / MODULE_PIXELS, y / MODULE_PIXELS);
                pixels.push(if dark { 0 } else { 255 });
            }
        }
        let edge = u32::try_from(edge).map_err(|_| QrError::TooLong)?;
        let mut bytes = Vec::new();
        let build = |error: png::EncodingError| QrError::Build(error.to_string());
        let mut encoder = png::Encoder::new(&mut bytes, edge, edge);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(build)?;
        writer.write_image_data(&pixels).map_err(build)?;
        writer.finish().map_err(build)?;
        Ok(bytes)
    }

    /// Half-block characters, two rows of modules a line, dark on light whatever the terminal's
    /// colours are.
    pub fn terminal(&self) -> String {
        let outer = self.outer();
        let mut text = String::new();
        for y in (0..outer).step_by(2) {
            text.push_str("\x1b[30;107m");
            for x in 0..outer {
                text.push(match (self.dark(x, y), self.dark(x, y.saturating_add(1))) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str("\x1b[0m\n");
        }
        text
    }
}

/// The code of `text` for a terminal.
pub fn terminal(text: &str) -> Result<String, QrError> {
    Ok(Matrix::new(text)?.terminal())
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_uppercase() || b" $%*+-./:".contains(&byte)
}

#[cfg(test)]
mod tests;
