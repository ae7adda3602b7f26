//! A scatter plot on a canvas: tens of thousands of dots, one of which is pointed at.

use std::{cell::Cell, rc::Rc};

use crate::components::{handler::handler, next_frame::next_frame};
use leptos::prelude::*;
use page_logic::dots::picture;
use wasm_bindgen::{Clamped, JsCast as _};
use web_sys::ImageData;

/// Stands out from light and dark grounds alike: a canvas does not follow the theme.
const POINTED: &str = "#e8850c";
/// How near to a dot pointing must be, as a share of the width.
const REACH: f64 = 0.02;

/// A dot: its name, and where it lies: each axis from 0 to 1, the second upwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// What it stands for.
    pub id: u32,
    /// From left to right.
    pub x: f32,
    /// From bottom to top.
    pub y: f32,
}

/// Draws `dots`. `point` is told which dot is pointed at, `choose` which is clicked.
pub fn scatter(
    dots: Vec<Dot>,
    label: String,
    point: impl Fn(Option<u32>) + 'static,
    choose: impl Fn(u32) + 'static,
) -> impl IntoView {
    let dots = Rc::new(dots);
    let canvas = NodeRef::<leptos::html::Canvas>::new();
    let drawn = Rc::clone(&dots);
    next_frame(move || {
        if let Some(canvas) = canvas.get_untracked() {
            draw(&canvas, &drawn, None);
        }
    });
    let (pointed, clicked) = (Rc::clone(&dots), dots);
    let last = Cell::new(None);
    let over = move |e: web_sys::MouseEvent| {
        let dot = nearest(&e, &pointed);
        if last.replace(dot) == dot {
            return;
        }
        if let Some(canvas) = canvas.get_untracked() {
            draw(&canvas, &pointed, dot);
        }
        point(dot.map(|d| d.id));
    };
    let click = move |e: web_sys::MouseEvent| {
        if let Some(dot) = nearest(&e, &clicked) {
            choose(dot.id);
        }
    };
    view! {
        <canvas class="scatter" node_ref=canvas role="img" aria-label=label
            data-scatter on:mousemove=handler(over) on:click=handler(click)></canvas>
    }
}

fn nearest(e: &web_sys::MouseEvent, dots: &[Dot]) -> Option<Dot> {
    let canvas: web_sys::Element = e.current_target()?.dyn_into().ok()?;
    let rect = canvas.get_bounding_client_rect();
    let x = (f64::from(e.client_x()) - rect.left()) / rect.width().max(1.0);
    let y = 1.0 - (f64::from(e.client_y()) - rect.top()) / rect.height().max(1.0);
    let aspect = rect.height() / rect.width().max(1.0);
    let squared = |d: &Dot| {
        let (right, up) = (f64::from(d.x) - x, (f64::from(d.y) - y) * aspect);
        right * right + up * up
    };
    let (mut near, mut least) = (None, REACH * REACH);
    for dot in dots {
        let distance = squared(dot);
        if distance < least {
            (near, least) = (Some(*dot), distance);
        }
    }
    near
}

fn draw(canvas: &web_sys::HtmlCanvasElement, dots: &[Dot], pointed: Option<Dot>) {
    let context = canvas.get_context("2d").ok().flatten();
    let Some(context) = context.and_then(|c| c.dyn_into::<web_sys::CanvasRenderingContext2d>().ok()) else {
        return;
    };
    // The canvas has the screen's own pixels, so that dots are square and sharp.
    let scale = window().device_pixel_ratio();
    let pixels = |length: i32| (f64::from(length) * scale) as u32;
    let (width, height) = (pixels(canvas.client_width()), pixels(canvas.client_height()));
    canvas.set_width(width);
    canvas.set_height(height);
    // Dots on the very edge are whole.
    let margin = 3.0 * scale;
    let (right, up) = (f64::from(width) - 2.0 * margin, f64::from(height) - 2.0 * margin);
    let point = |d: &Dot| (margin + f64::from(d.x) * right, margin + (1.0 - f64::from(d.y)) * up);
    let rgba = picture(dots.iter().map(point), (width as usize, height as usize), scale, dots.len());
    let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&rgba), width, height);
    let drawn = image.and_then(|image| context.put_image_data(&image, 0.0, 0.0));
    debug_assert!(drawn.is_ok() || width * height == 0, "a picture of the canvas's size");
    if let Some((x, y)) = pointed.as_ref().map(point) {
        context.set_fill_style_str(POINTED);
        context.fill_rect(x - 3.5 * scale, y - 3.5 * scale, 7.0 * scale, 7.0 * scale);
    }
}
