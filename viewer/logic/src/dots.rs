//! The picture of a scatter plot.

/// Stands out from light and dark grounds alike: a canvas does not follow the theme.
const DOT: [u8; 3] = [0x73, 0x87, 0xae];

/// Squares of two CSS pixels, as red, green, blue and opacity of each pixel; where several lie on one another it is as
/// if they were painted in turn. A browser takes a hundred times longer to draw as many rectangles.
pub fn picture(
    points: impl Iterator<Item = (f64, f64)>,
    (width, height): (usize, usize),
    scale: f64,
    n_dots: usize,
) -> Vec<u8> {
    let side = (2.0 * scale).round() as usize;
    let mut depth = vec![0u8; width * height];
    for (x, y) in points {
        let (left, top) = ((x - scale).round().max(0.0) as usize, (y - scale).round().max(0.0) as usize);
        for row in depth.chunks_exact_mut(width.max(1)).skip(top).take(side) {
            for pixel in row.iter_mut().skip(left).take(side) {
                *pixel = pixel.saturating_add(1);
            }
        }
    }
    // Many dots are drawn pale, so that crowds are darker than single ones.
    let through = if n_dots > 4_000 { 0.65f64 } else { 0.3 };
    let opacity = |n: u8| ((1.0 - through.powi(n.into())) * 255.0).round() as u8;
    let opacities: Vec<u8> = (0..=u8::MAX).map(opacity).collect();
    let [red, green, blue] = DOT;
    depth.into_iter().flat_map(|n| [red, green, blue, opacities[usize::from(n)]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_squares_that_stay_in_the_picture_and_darken_where_they_meet() {
        let opacity = |points: &[(f64, f64)]| -> Vec<u8> {
            let rgba = picture(points.iter().copied(), (4, 3), 1.0, points.len());
            rgba.chunks_exact(4).map(|pixel| pixel[3]).collect()
        };
        let (one, two) = (179, 232); // 70 %, and 70 % of what shines through it
        assert_eq!(opacity(&[(1.0, 1.0)]), [one, one, 0, 0, one, one, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            opacity(&[(1.0, 1.0), (2.0, 2.0)]),
            [one, one, 0, 0, one, two, one, 0, 0, one, one, 0],
            "where both lie"
        );
        assert_eq!(opacity(&[(4.0, 3.0)]), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, one], "over the corner");
    }
}
