/** A box with a heading: what most of a view consists of. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Props {
  title?: ComponentChildren;
  level?: 2 | 3;
  aside?: ComponentChildren; // right of the heading
  class?: string;
  children?: ComponentChildren;
}

export function Card({ title, level = 2, aside, class: more = "", children }: Props) {
  const id = useId();
  const Heading = `h${level}` as "h2" | "h3";
  return (
    <section class={`card ${more}`} aria-labelledby={title ? id : undefined}>
      {title && (
        <header class="card-head">
          <Heading id={id}>{title}</Heading>
          {aside && <div class="card-aside">{aside}</div>}
        </header>
      )}
      {children}
    </section>
  );
}
