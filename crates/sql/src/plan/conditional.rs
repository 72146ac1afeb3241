//! CASE, IN and BETWEEN.

use datafusion_expr::expr::InList;
use datafusion_expr::{Between, Case, Expr};
use sqlparser::ast::{self, CaseWhen};

use super::unify::COMPARED;
use super::{Planned, Planner};

impl Planner<'_> {
    pub(super) fn case(
        &mut self,
        node: &ast::Expr,
        operand: Option<&ast::Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Option<Planned> {
        let conditions = match operand {
            None => self.all(branches.iter().map(|branch| &branch.condition), Self::boolean),
            Some(operand) => {
                let compared =
                    std::iter::once(operand).chain(branches.iter().map(|branch| &branch.condition));
                let planned = self.all(compared.clone(), Self::plan);
                self.unify(node, compared.zip(planned?).collect(), COMPARED)
            }
        };
        let answers: Vec<_> =
            branches.iter().map(|branch| &branch.result).chain(otherwise).collect();
        let planned = self.all(answers.iter().copied(), Self::plan);
        let mut answers =
            self.unify(node, answers.into_iter().zip(planned?).collect(), "answers of one CASE")?;
        let mut conditions = conditions?;
        let operand = operand.map(|_| Box::new(conditions.remove(0).expr));
        let otherwise =
            otherwise.and_then(|_| answers.pop()).map(|otherwise| Box::new(otherwise.expr));
        let branches = conditions
            .into_iter()
            .zip(answers)
            .map(|(when, then)| (Box::new(when.expr), Box::new(then.expr)))
            .collect();
        self.finish(node, Expr::Case(Case::new(operand, branches, otherwise)))
    }

    pub(super) fn in_list(
        &mut self,
        node: &ast::Expr,
        operand: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
    ) -> Option<Planned> {
        let compared: Vec<_> = std::iter::once(operand).chain(list).collect();
        let planned = self.all(compared.iter().copied(), Self::plan)?;
        let mut operands =
            self.unify(node, compared.into_iter().zip(planned).collect(), COMPARED)?;
        let operand = operands.remove(0);
        let list = operands.into_iter().map(|operand| operand.expr).collect();
        self.finish(node, Expr::InList(InList::new(Box::new(operand.expr), list, negated)))
    }

    pub(super) fn between(
        &mut self,
        node: &ast::Expr,
        operand: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
    ) -> Option<Planned> {
        let compared = [operand, low, high];
        let planned = self.all(compared.into_iter(), Self::plan)?;
        let operands = self.unify(node, compared.into_iter().zip(planned).collect(), COMPARED)?;
        let [operand, low, high] = <[Planned; 3]>::try_from(operands).ok()?;
        self.finish(
            node,
            Expr::Between(Between::new(
                Box::new(operand.expr),
                negated,
                Box::new(low.expr),
                Box::new(high.expr),
            )),
        )
    }

    /// Every node planned, so that the problems of all of them are told.
    pub(super) fn all<'n>(
        &mut self,
        nodes: impl Iterator<Item = &'n ast::Expr>,
        plan: fn(&mut Self, &ast::Expr) -> Option<Planned>,
    ) -> Option<Vec<Planned>> {
        let planned: Vec<_> = nodes.map(|node| plan(self, node)).collect();
        planned.into_iter().collect()
    }
}
