"""The look of the page: its light and dark theme, and additional style rules."""

from __future__ import annotations

import gradio as gr

FONTS = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
#: A face in a frame: the sign of the page.
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">'
    '<rect width="32" height="32" rx="8" fill="#4f46e5"/>'
    '<g fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round"><path d="M10 12.5v1.5M22 12.5v1.5"/>'
    '<path d="M9 19.5c2 4 12 4 14 0"/></g></svg>'
)
CSS = """
.gradio-container { max-width: 1360px !important; }
header.title { display: flex; gap: 12px; align-items: center; padding: 4px 0; }
header.title svg { flex: none; width: 32px; }
header.title h1 { font-size: 20px; font-weight: 650; margin: 0; }
header.title p, .about p { margin: 0; color: var(--body-text-color-subdued); }
.about p { font-size: 15px; padding: 4px 2px; }
button[role="tab"] { font-size: 15px; }
.dark [role="tab"][aria-selected="true"] { color: var(--primary-300) !important; }
.picker { cursor: pointer; }
.html-container { padding: 0 !important; }
.table-wrap, .table-wrap * { font-family: inherit; }
input[type="range"]::-webkit-slider-thumb { border: 2px solid var(--color-accent); box-shadow: none; }
input[type="range"]::-moz-range-thumb { border: 2px solid var(--color-accent); box-shadow: none; }
button.md { font-weight: 500; font-size: 14px; white-space: nowrap; }

/* Edit: the picture stays in sight while sliders are moved; a slider takes one line. */
.sticky, .stage { position: sticky; top: 8px; align-self: flex-start; }
.presets { display: grid !important; grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); gap: 8px; }
.presets button { flex-direction: column; gap: 4px; padding: 6px 4px; font-weight: 500; overflow: hidden; }
.presets button:not(:has(img))::before { content: ""; background: var(--background-fill-secondary); }
.presets button img, .presets button::before { width: 64px; height: 64px; border-radius: 8px; margin: 0; }
.sliders .form, .sliders .block { border: 0; gap: 0; background: none; box-shadow: none; }
.sliders .block { padding: 1px 0; overflow: hidden !important; }
.sliders .block > .wrap:last-of-type { flex-direction: row; align-items: center; gap: 10px; }
.sliders .head { flex: 0 0 56%; flex-wrap: nowrap; margin: 0; align-items: center; }
.sliders .head label span { font-weight: 500; margin: 0; }
.sliders .slider_input_container { flex: 1; }
.sliders .min_value, .sliders .max_value { display: none; }
.two-sided input[type="range"] { --range_progress: 0% !important; }
.saving { align-items: center; }
/* A clip leaves room for the buttons below it; fields in a line are of one height. */
.video-container > .wrap, .video-container > .upload-container { flex: 1 1 0; min-height: 0; height: auto !important; }
.row .wrap-inner { min-height: 40px; }

/* A narrow column shows a file's name in several lines instead of none of it. */
#style-style .filename { display: table-cell; width: 100%; padding: 4px; font-size: 13px; }
#style-style .filename * { display: inline; white-space: normal; overflow-wrap: anywhere; }

/* What becomes of it. */
.status { align-items: center; }
.empty { display: grid; place-items: center; min-height: 340px; border: 1px dashed var(--border-color-primary);
  border-radius: var(--block-radius); color: var(--body-text-color-subdued); text-align: center; padding: 16px; }
#complete-photo .empty { color: var(--body-text-color-subdued) !important; }
.job { padding: 6px 2px; } .job.failed { color: #b91c1c; } .dark .job.failed { color: #fca5a5; }
.job progress { appearance: none; display: block; width: 100%; height: 8px; border: 0; margin-top: 6px; }
.job progress::-webkit-progress-bar { background: var(--border-color-primary); border-radius: 4px; }
.job progress::-webkit-progress-value { background: var(--color-accent); border-radius: 4px; }
.job progress::-moz-progress-bar { background: var(--color-accent); border-radius: 4px; }
.command textarea { font-family: var(--font-mono); font-size: 13px; }
.curve { margin: 0; } .curve svg { width: 100%; height: 120px; }
.blocks { display: flex; border-radius: 8px; overflow: hidden; } .blocks div { padding: 8px 4px; text-align: center; }
.blocks div, .track div { font-size: 12px; color: #111; overflow: hidden; white-space: nowrap;
  text-overflow: ellipsis; }
.strip { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; }
.strip figure { margin: 0; text-align: center; font-size: 12px; }
.strip img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 8px; margin: 0; }
.result img { object-fit: contain !important; width: 100%; height: 100%; }
.stage [aria-label^="Remove"] { display: none; }
.track { background: var(--background-fill-secondary); border-radius: 6px; margin-bottom: 4px; }
.track div { padding: 5px 8px; border-radius: 6px; box-sizing: border-box; }
.card { display: flex; gap: 14px; align-items: center; padding: 10px 14px; margin-bottom: 8px;
  border: 1px solid var(--border-color-primary); border-radius: var(--block-radius);
  background: var(--block-background-fill); }
.card div { flex: 1; } .card img, .card .blank { width: 56px; height: 56px; object-fit: cover; border-radius: 8px; }
.card .blank { background: var(--background-fill-secondary); } .card b { color: var(--body-text-color-subdued); }
@media (max-width: 720px) {
  .sticky, .stage { position: static; }
  .sliders .block > .wrap:last-of-type { flex-direction: column; align-items: stretch; gap: 2px; padding: 4px 0; }
  .sliders .head { flex: none; }
}
.card a { margin-right: 12px; color: var(--link-text-color); text-decoration: underline; }
"""


def theme() -> gr.themes.Base:
    """Light or dark cards on a plain background, with system fonts, so that nothing is downloaded."""
    made = gr.themes.Soft(
        primary_hue="indigo", secondary_hue="indigo", neutral_hue="slate", spacing_size="sm", radius_size="lg",
        font=FONTS, font_mono=MONO,
    )  # fmt: skip
    text, quiet = "*neutral_900", "*neutral_600"
    return made.set(
        body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950", block_border_width="1px",
        block_border_width_dark="1px", block_border_color="*neutral_200", block_border_color_dark="*neutral_700",
        block_shadow="none", border_color_primary="*neutral_300", input_border_width="1px",
        input_border_color="*neutral_300", input_border_color_dark="*neutral_600", input_shadow="none",
        button_border_width="1px", button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600", button_secondary_shadow="none",
        checkbox_border_color="*neutral_400", checkbox_border_color_dark="*neutral_400",
        color_accent="*primary_600", block_label_text_color=text, block_title_text_color=text,
        block_info_text_color=quiet, block_title_text_weight="500", block_label_text_weight="500",
        block_label_background_fill="*neutral_100", block_title_background_fill="none", block_title_padding="0",
        body_text_color_subdued=quiet, body_text_color_subdued_dark="*neutral_300",
        block_label_text_color_dark="*neutral_100", block_title_text_color_dark="*neutral_100",
        block_label_background_fill_dark="*neutral_700", block_title_background_fill_dark="none",
        block_info_text_color_dark="*neutral_300", button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700", button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700", button_primary_text_color="white",
        checkbox_label_background_fill_selected="*primary_600",
        checkbox_label_background_fill_selected_dark="*primary_600", slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )  # fmt: skip
