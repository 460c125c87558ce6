//! `Emulation`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::{Deserialize, Serialize};

/// Clears the overridden device metrics.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClearDeviceMetricsOverride {}

impl crate::Command for ClearDeviceMetricsOverride {
    const METHOD: &'static str = "Emulation.clearDeviceMetricsOverride";
    type Response = crate::Nothing;
}

/// Overrides the values of device screen dimensions (window.screen.width, window.screen.height,
/// window.innerWidth, window.innerHeight, and "device-width"/"device-height"-related CSS media
/// query results).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetDeviceMetricsOverride {
    /// Overriding width value in pixels (minimum 0, maximum 10000000). 0 disables the override.
    pub width: i64,
    /// Overriding height value in pixels (minimum 0, maximum 10000000). 0 disables the override.
    pub height: i64,
    /// Overriding device scale factor value. 0 disables the override.
    pub device_scale_factor: f64,
    /// Whether to emulate mobile device. This includes viewport meta tag, overlay scrollbars, text
    /// autosizing and more.
    pub mobile: bool,
    /// Scale to apply to resulting view image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Overriding screen width value in pixels (minimum 0, maximum 10000000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_width: Option<i64>,
    /// Overriding screen height value in pixels (minimum 0, maximum 10000000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_height: Option<i64>,
    /// Overriding view X position on screen in pixels (minimum 0, maximum 10000000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_x: Option<i64>,
    /// Overriding view Y position on screen in pixels (minimum 0, maximum 10000000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_y: Option<i64>,
    /// Do not set visible view size, rely upon explicit setVisibleSize call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dont_set_visible_size: Option<bool>,
    /// Screen orientation override.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_orientation: Option<ScreenOrientation>,
    /// If set, the visible area of the page will be overridden to this viewport. This viewport
    /// change is not observed by the page, e.g. viewport-relative elements do not change positions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewport: Option<super::page::Viewport>,
    /// Scrollbar type. Default: `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrollbar_type: Option<SetDeviceMetricsOverrideScrollbarType>,
    /// If set to true, enables screen orientation lock emulation, which
    /// intercepts screen.orientation.lock() calls from the page and reports
    /// orientation changes via screenOrientationLockChanged events. This is
    /// useful for emulating mobile device orientation lock behavior in
    /// responsive design mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_orientation_lock_emulation: Option<bool>,
    /// Viewport meta tag behavior. Default: `default`. Note: if `mobile` is `true`,
    /// the viewport meta tag is always enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewport_meta: Option<SetDeviceMetricsOverrideViewportMeta>,
    /// Text layout mode. Default: `default`. Note: if `mobile` is `true`,
    /// mobile text layout mode (text autosizing) is always enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_layout_mode: Option<SetDeviceMetricsOverrideTextLayoutMode>,
}

impl crate::Command for SetDeviceMetricsOverride {
    const METHOD: &'static str = "Emulation.setDeviceMetricsOverride";
    type Response = crate::Nothing;
}

/// Screen orientation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScreenOrientation {
    /// Orientation type.
    pub r#type: ScreenOrientationType,
    /// Orientation angle.
    pub angle: i64,
}

/// Orientation type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScreenOrientationType {
    #[serde(rename = "portraitPrimary")]
    PortraitPrimary,
    #[serde(rename = "portraitSecondary")]
    PortraitSecondary,
    #[serde(rename = "landscapePrimary")]
    LandscapePrimary,
    #[serde(rename = "landscapeSecondary")]
    LandscapeSecondary,
    #[serde(untagged)]
    Unlisted(String),
}

/// Scrollbar type. Default: `default`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetDeviceMetricsOverrideScrollbarType {
    #[serde(rename = "overlay")]
    Overlay,
    #[serde(rename = "default")]
    Default,
    #[serde(untagged)]
    Unlisted(String),
}

/// Text layout mode. Default: `default`. Note: if `mobile` is `true`,
/// mobile text layout mode (text autosizing) is always enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetDeviceMetricsOverrideTextLayoutMode {
    #[serde(rename = "mobile")]
    Mobile,
    #[serde(rename = "default")]
    Default,
    #[serde(untagged)]
    Unlisted(String),
}

/// Viewport meta tag behavior. Default: `default`. Note: if `mobile` is `true`,
/// the viewport meta tag is always enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetDeviceMetricsOverrideViewportMeta {
    #[serde(rename = "enable")]
    Enable,
    #[serde(rename = "default")]
    Default,
    #[serde(untagged)]
    Unlisted(String),
}
