/** Names and their values, one pair a row. */
import { Fragment, type ComponentChildren } from "preact";

export function Pairs({ rows }: { rows: readonly (readonly [name: ComponentChildren, value: ComponentChildren])[] }) {
  return (
    <dl class="pairs">
      {rows.map(([name, value], index) => (
        <Fragment key={index}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}
