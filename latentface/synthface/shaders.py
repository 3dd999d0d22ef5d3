"""GLSL of the renderer: one vertex stage, one lighting function, a fragment stage a material."""

from __future__ import annotations

VERTEX = """
#version 330
in vec3 place; in vec3 normal; in vec3 rest; in vec2 uv; in vec3 sky0; in vec3 sky1; in vec3 sky2;
uniform mat4 project;
out vec3 v_place; out vec3 v_normal; out vec3 v_rest; out vec2 v_uv; out vec3 v_sky0; out vec3 v_sky1; out vec3 v_sky2;
void main() {
    v_place = place; v_normal = normal; v_rest = rest; v_uv = uv; v_sky0 = sky0; v_sky1 = sky1; v_sky2 = sky2;
    gl_Position = project * vec4(place, 1.0);
}
"""

# Garments and the mouth carry no visibility coefficients of their own.
PLAIN_VERTEX = """
#version 330
in vec3 place; in vec3 normal; in vec3 rest; in vec2 uv;
uniform mat4 project;
out vec3 v_place; out vec3 v_normal; out vec3 v_rest; out vec2 v_uv;
void main() { v_place = place; v_normal = normal; v_rest = rest; v_uv = uv; gl_Position = project * vec4(place, 1.0); }
"""

_LIGHTING = """
uniform vec3 camera; uniform vec3 sky; uniform vec3 ground; uniform float exposure;
uniform vec3 light_direction[3]; uniform vec3 light_colour[3]; uniform mat3 to_head;
out vec4 colour;

// Degree-2 spherical harmonics, in the order of bake.harmonics; a, b, c scale the three degrees.
float harmonic(vec3 d, vec3 s0, vec3 s1, vec3 s2, float b, float c) {
    return 0.282095 * s0.x + b * 0.488603 * (d.y * s0.y + d.z * s0.z + d.x * s1.x)
         + c * (1.092548 * (d.x * d.y * s1.y + d.y * d.z * s1.z + d.x * d.z * s2.y)
         + 0.315392 * (3.0 * d.z * d.z - 1.0) * s2.x + 0.546274 * (d.x * d.x - d.y * d.y) * s2.z);
}
// Filmic curve (Hejl and Burgess-Dawson, 2010), which includes the display gamma.
vec3 film(vec3 x) {
    x = max(vec3(0.0), x * exposure * 0.9 - 0.004);
    return (x * (6.2 * x + 0.5)) / (x * (6.2 * x + 1.7) + 0.06);
}
// Wrapped diffuse, wider in red, for light that scatters under skin; GGX-like highlight of the given roughness.
vec3 shade(vec3 albedo, vec3 n, vec3 wrap, float gloss, float rough, vec3 s0, vec3 s1, vec3 s2) {
    vec3 v = normalize(camera - v_place);
    float open = clamp(harmonic(to_head * n, s0, s1, s2, 0.6667, 0.25), 0.0, 1.0);
    vec3 ambient = mix(ground, sky, 0.5 + 0.5 * n.y);
    // Light that bounces between skin and skin comes back redder (multi-bounce occlusion).
    vec3 occlusion = pow(vec3(open), 1.0 / (1.0 + 0.9 * albedo));
    vec3 diffuse = ambient * occlusion;
    float fresnel = 0.04 + 0.6 * pow(1.0 - max(dot(n, v), 0.0), 5.0);
    vec3 glint = ambient * open * fresnel * gloss * 0.6;
    for (int i = 0; i < 3; i++) {
        vec3 l = light_direction[i];
        float seen = smoothstep(0.25, 0.75, harmonic(to_head * l, s0, s1, s2, 1.0, 1.0));
        diffuse += light_colour[i] * seen * max((dot(n, l) + wrap) / (1.0 + wrap), 0.0);
        vec3 h = normalize(l + v);
        float a = rough * rough; float nh = max(dot(n, h), 0.0);
        float d = a / max(3.1416 * pow(nh * nh * (a - 1.0) + 1.0, 2.0), 1e-4);
        glint += light_colour[i] * seen * max(dot(n, l), 0.0) * d * 0.04 * gloss;
    }
    return albedo * diffuse + glint;
}
float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }
"""

_IN = "#version 330\nin vec3 v_place; in vec3 v_normal; in vec3 v_rest; in vec2 v_uv;\n"
_IN_SKY = _IN + "in vec3 v_sky0; in vec3 v_sky1; in vec3 v_sky2;\n"

SKIN = (
    _IN_SKY
    + _LIGHTING
    + """
uniform sampler2D skin; uniform sampler2D masks;
uniform vec3 tint; uniform float gamma; uniform float shine; uniform vec4 lips; uniform float blush;
uniform vec3 hair; uniform float stubble; uniform float scalp;
void main() {
    vec2 at = vec2(v_uv.x * 0.5, v_uv.y);
    vec3 albedo = pow(texture(skin, at).rgb, vec3(2.2 * gamma)) * tint;
    vec4 mask = texture(masks, at);
    float grain = hash(floor(v_rest.xy * 9.0) + floor(v_rest.z * 9.0));
    float level = dot(albedo, vec3(0.3, 0.6, 0.1));
    albedo = mix(albedo, mix(lips.rgb, level * vec3(1.35, 0.75, 0.75), 0.45), mask.r * lips.a);
    albedo = mix(albedo, albedo * vec3(1.1, 0.72, 0.70), mask.a * blush);
    float show = mix(1.0, 0.4, smoothstep(0.1, 0.4, hair.g));  // fair stubble hardly shows
    albedo = mix(albedo, hair * 0.9, mask.g * stubble * (0.5 + 0.5 * grain) * show);
    albedo = mix(albedo, hair * (0.7 + 0.5 * grain), smoothstep(0.1, 0.9, mask.b) * scalp);
    vec3 n = normalize(v_normal);
    float gloss = mix(0.35 + shine, 1.3, mask.r * 0.6) * (1.0 - 0.7 * mask.b * scalp);
    vec3 wrap = vec3(0.30, 0.14, 0.10);
    vec3 lit = shade(min(albedo, vec3(0.9)), n, wrap, gloss, 0.55 - 0.15 * shine, v_sky0, v_sky1, v_sky2);
    colour = vec4(film(lit), 1.0);
}
"""
)

# Mouth interior and teeth: dark towards the throat, whatever the rest pose's closed mouth saw.
MOUTH = (
    _IN
    + _LIGHTING
    + """
uniform vec3 base; uniform vec2 depth_range; uniform float gloss;
void main() {
    float open = smoothstep(depth_range.x, depth_range.y, v_rest.z);
    vec3 lit = shade(base * open * open, normalize(v_normal), vec3(0.3), gloss * open, 0.35,
                     vec3(2.6 * open, 0.0, 0.0), vec3(0.0), vec3(0.0));
    colour = vec4(film(lit), 1.0);
}
"""
)

# Eyeballs: sclera and iris by angle from the gaze axis; the cornea's highlight on top.
EYE = (
    _IN_SKY
    + _LIGHTING
    + """
uniform vec3 iris; uniform vec3 centres[2]; uniform bool cornea; uniform float radius;
void main() {
    vec3 d = v_rest - centres[v_rest.x > 0.0 ? 0 : 1];
    float r = length(d.xy) / radius;
    if (cornea && d.z > 0.0 && r < 1.0) discard;
    vec3 white = mix(vec3(0.62, 0.56, 0.53), vec3(0.50, 0.30, 0.27), smoothstep(1.5, 3.0, r));
    float rays = 0.8 + 0.4 * hash(vec2(floor(atan(d.y, d.x) * 14.0), 1.0));
    vec3 ring = iris * rays * mix(1.25, 0.8, r) * (1.0 - 0.75 * smoothstep(0.8, 1.0, r));
    vec3 albedo = cornea ? white : mix(vec3(0.004), ring, smoothstep(0.34, 0.42, r));
    vec3 n = normalize(v_normal);
    vec3 lit = shade(albedo, n, vec3(0.25), 0.5, 0.3, v_sky0, v_sky1, v_sky2);
    // Catch-light: the cornea bulges, so its normal follows the sphere of the gaze, not the flat iris.
    vec3 v = normalize(camera - v_place);
    for (int i = 0; i < 2; i++)
        lit += light_colour[i] * 0.9 * smoothstep(0.990, 0.997, dot(n, normalize(light_direction[i] + v)));
    colour = vec4(film(lit), 1.0);
}
"""
)

# Hair, brows, lashes and cloth: alpha-tested sheets; hair has two shifted strand highlights (Kajiya and Kay, 1989).
GARMENT = (
    _IN
    + _LIGHTING
    + """
uniform sampler2D sheet; uniform vec3 base; uniform float cutoff; uniform float brightness; uniform bool strands;
uniform float inner; uniform vec3 collar;
void main() {
    if (!strands && v_rest.y > collar.x + collar.y * v_rest.z + collar.z * abs(v_rest.x)) discard;
    vec4 texel = texture(sheet, v_uv);
    if (texel.a < cutoff * (0.6 + 0.8 * hash(gl_FragCoord.xy))) discard;
    vec3 n = normalize(v_normal);
    if (dot(n, camera - v_place) < 0.0) n = -n;
    float level = strands ? clamp(dot(texel.rgb, vec3(0.333)) / brightness, 0.25, 2.2) : 1.0;
    float open = strands ? mix(0.30, 1.0, smoothstep(inner, inner + 3.0, length(v_rest - vec3(0.0, 4.5, 0.0)))) : 1.0;
    vec3 all_open = vec3(3.545 * open, 0.0, 0.0);
    vec3 lit = shade(base * level, n, vec3(0.25), strands ? 0.0 : 0.15, 0.5, all_open, vec3(0.0), vec3(0.0));
    if (strands) {
        vec3 t = normalize(cross(n, vec3(1.0, 0.0, 0.15)));
        for (int i = 0; i < 3; i++) {
            float th = dot(t, normalize(light_direction[i] + normalize(camera - v_place)));
            float streak = pow(max(1.0 - th * th, 0.0), 24.0) * max(dot(n, light_direction[i]) + 0.3, 0.0);
            lit += light_colour[i] * (0.25 * base + 0.02) * open * level * streak;
        }
    }
    colour = vec4(film(lit), 1.0);
}
"""
)

BACKDROP_VERTEX = """
#version 330
in vec2 place; out vec2 v_uv;
void main() { v_uv = place * 0.5 + 0.5; gl_Position = vec4(place, 0.9999, 1.0); }
"""
BACKDROP = """
#version 330
in vec2 v_uv; uniform sampler2D sheet; uniform float exposure; out vec4 colour;
void main() {
    vec3 x = max(vec3(0.0), texture(sheet, v_uv).rgb * exposure * 0.9 - 0.004);
    colour = vec4((x * (6.2 * x + 0.5)) / (x * (6.2 * x + 1.7) + 0.06), 0.0);
}
"""
