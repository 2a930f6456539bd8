import { describe, expect, it } from 'vitest';
import { render } from './render.ts';

describe('render', () => {
  const values = { device: 'edge-1', labels: { site: 'north', 'a.b/c': 'x' }, vars: { port: 8080, debug: false, name: '{{ port }}' } };

  it('puts variables, the device and its labels in', () => {
    expect(render('{{device}} {{ port }} {{ debug }} {{labels.site}} {{ labels.a.b/c }}', values)).toBe('edge-1 8080 false north x');
  });

  it('does not look into what it has put in, nor touch single braces', () => {
    expect(render('{{ name }} { port } {{}', values)).toBe('{{ port }} { port } {{}');
  });

  it.each(['{{ nothing }}', '{{ labels.line }}', '{{ constructor }}', '{{ labels.toString }}', '{{ }}'])('refuses %s', (template) => {
    expect(() => render(template, values)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });
});
