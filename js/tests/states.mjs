/** Prints, as JSON, the names of every scene's `State`: { "../src/scenes/forward_noising.ts": ["t", "x0", ...], ... }. */
import ts from "typescript";

const files = process.argv.slice(2);
const program = ts.createProgram(files, { strict: true, noEmit: true, skipLibCheck: true, types: [] });
const checker = program.getTypeChecker();
const states = files.map((file) => {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  const state = module && checker.getExportsOfModule(module).find((symbol) => symbol.name === "State");
  const names = state
    ? checker
        .getDeclaredTypeOfSymbol(state)
        .getProperties()
        .map((property) => property.name)
    : null;
  return [file, names];
});
console.log(JSON.stringify(Object.fromEntries(states)));
