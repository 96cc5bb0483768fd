//! Files and functions that are longer than they may be.

use syn::{spanned::Spanned as _, visit::Visit};

const FILE_MAX: usize = 400;
const FUNCTION_MAX: usize = 70;

pub(super) fn check(sources: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in sources {
        let lines = lines_without_tests(source);
        if lines > FILE_MAX {
            found.push(format!("{path}:1: {lines} lines, {FILE_MAX} are allowed"));
        }
        // What is not Rust is told by the layers.
        if let Ok(file) = syn::parse_file(source) {
            let mut functions = Functions {
                path,
                found: &mut found,
            };
            functions.visit_file(&file);
        }
    }
    found
}

/// Unit tests stand at the end of a file.
fn lines_without_tests(source: &str) -> usize {
    let lines = source.lines();
    lines.take_while(|line| *line != "#[cfg(test)]").count()
}

struct Functions<'a> {
    path: &'a str,
    found: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = (span.end().line - span.start().line).saturating_sub(1);
        if lines > FUNCTION_MAX {
            let (path, line) = (self.path, name.span().start().line);
            self.found.push(format!(
                "{path}:{line}: `{name}` has {lines} lines, {FUNCTION_MAX} are allowed"
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, it: &'ast syn::ItemFn) {
        self.measure(&it.sig.ident, &it.block);
        syn::visit::visit_item_fn(self, it);
    }

    fn visit_impl_item_fn(&mut self, it: &'ast syn::ImplItemFn) {
        self.measure(&it.sig.ident, &it.block);
        syn::visit::visit_impl_item_fn(self, it);
    }

    fn visit_item_mod(&mut self, it: &'ast syn::ItemMod) {
        let is_test = it.attrs.iter().any(|attr| attr.path().is_ident("cfg"));
        if !is_test {
            syn::visit::visit_item_mod(self, it);
        }
    }
}
